"""Why a request does not reach the engine."""

from http import HTTPStatus


class Refused(Exception):
    """The lab has no use for what was asked; the text says what."""

    status = HTTPStatus.FORBIDDEN


class Malformed(Refused):
    """It is not clear what was asked, so nobody else gets to guess."""

    status = HTTPStatus.BAD_REQUEST


class TooLarge(Refused):
    """More than any request of the lab needs."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooMany(Refused):
    """More connections at once than the lab needs."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class EngineSilent(Refused):
    """The engine does not answer, or not in a way that can be understood."""

    status = HTTPStatus.BAD_GATEWAY
