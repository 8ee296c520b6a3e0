"""The launcher: one command that starts a whole lab on this machine, and ends it."""
