"""Why a lab cannot start or go on: one clear sentence for a person, never a traceback."""


class CannotStart(Exception):
    """The lab cannot start; the text says why and what to do."""
