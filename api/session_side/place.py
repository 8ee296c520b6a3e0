"""Where the session listener's routes are, for those who tell sessions of it."""

PREFIX = "/session/v1"
