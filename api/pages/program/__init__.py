"""The organizers' pages: how the program goes, and everything that can be done about it."""
