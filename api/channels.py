"""Sending one message to one channel, through Apprise, in whose address a secret stands.

Nothing of the address may be seen anywhere else: not in a log, an error, or the books. So
whatever fails here comes back as a word, never as an exception, and Apprise's own log is off.
Loading Apprise takes half a second and 40 MB; a lab without channels never does.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import quote, unquote

from quota.lab_channels import Channel

DeliveryResult = Literal["sent", "failed", "unusable", "no_address"]

_MOST_URL_CHARS = 4_096
_MOST_WHY_CHARS = 200
_SHORTEST_SECRET = 4
# The names of people stand in an address of their own; this one is for looking whether it works.
_ANYBODY = "ada"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is said to whom; `person` is empty for a room."""

    channel: Channel
    person: str
    title: str
    body: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message. `why` is for the operator's eyes, with all secrets blotted out."""

    result: DeliveryResult
    why: str = ""


class Notifier(Protocol):
    """Whatever can send a message."""

    def send(self, message: Message) -> Delivery:
        """Send a message; it never raises, and returns within a bound."""


class ChannelUnusable(Exception):
    """The channel's file or address is not as it has to be; the text holds no secret."""


class NoAddress(Exception):
    """The channel has no address for this person."""


class AppriseNotifier:
    """Sends through Apprise; the addresses are read from their files at each message."""

    def __init__(self, secrets_dir: Path, *, within_s: float = 20.0) -> None:
        self._secrets_dir = secrets_dir
        self._within_s = within_s

    def send(self, message: Message) -> Delivery:
        """Send a message, and wait for the answer for so long at most."""
        try:
            url = self._address(message.channel, message.person)
            service = _opened(url, self._within_s)
        except NoAddress as error:
            return Delivery("no_address", str(error))
        except ChannelUnusable as error:
            return Delivery("unusable", str(error))
        try:
            said = service.notify(body=message.body, title=message.title, body_format="text",
                                  timeout=self._within_s)  # fmt: skip
            if said:
                return Delivery("sent")
            logs = [entry.message for entry in said.logs()]
        except Exception as error:  # noqa: BLE001 - any of a hundred services; only its kind is told
            return Delivery("failed", type(error).__name__)
        why = logs[-1] if logs else f"no answer within {self._within_s:g} s"
        return Delivery("failed", masked(why, url))

    def fault_of(self, channel: Channel) -> str | None:
        """Say why a channel cannot work, as far as that shows without sending; None if it may."""
        try:
            _opened(self._address(channel, _ANYBODY), self._within_s)
        except (ChannelUnusable, NoAddress) as error:
            return str(error)
        return None

    def _address(self, channel: Channel, person: str) -> str:
        url = self._read(channel)
        is_for_one = "{name}" in url or "{email}" in url
        if channel.to_person and not is_for_one:
            raise ChannelUnusable("it is to_person, but its URL has neither {name} nor {email}")
        if is_for_one and not channel.to_person:
            raise ChannelUnusable("its URL has {name} or {email}, but it is not to_person")
        if "{email}" in url:
            if channel.email_domain is None:
                raise ChannelUnusable("its URL has {email}, but it has no email_domain")
            email = channel.email_of(person)
            if email is None:
                raise NoAddress("the name of the person is of another mail domain")
            url = url.replace("{email}", quote(email, safe=""))
        return url.replace("{name}", quote(person, safe=""))

    def _read(self, channel: Channel) -> str:
        where = f"the secret file {channel.url_file}"
        try:
            with (self._secrets_dir / channel.url_file).open(encoding="utf-8") as file:
                text = file.read(_MOST_URL_CHARS + 1)
        except OSError as error:
            raise ChannelUnusable(f"{where} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ChannelUnusable(f"{where} is not text") from None
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) != 1 or len(text) > _MOST_URL_CHARS:
            raise ChannelUnusable(f"{where} has to hold one line, the channel's Apprise URL")
        return lines[0]


def masked(text: str, url: str) -> str:
    """Return a text on one line without anything that could be a secret of an address."""
    scheme, _, rest = url.partition("://")
    words = set(re.findall(r"[^\W_]+", f"{rest} {unquote(rest)}"))
    words |= set(re.split(r"[/?&=:@,;+ ]", f"{rest}/{unquote(rest)}")) - {scheme}
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _SHORTEST_SECRET:
            text = re.sub(re.escape(word), "***", text, flags=re.IGNORECASE)
    return " ".join(text.split())[:_MOST_WHY_CHARS]


def _opened(url: str, within_s: float) -> Any:
    """Let Apprise read an address.

    Raises:
        ChannelUnusable: it is none that Apprise knows.

    """
    import apprise  # noqa: PLC0415 - see above: only where something is sent

    for name in ("apprise", "urllib3"):
        # Both may name an address in what they log.
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    # A message is posted where the operator says, not where somebody there sends it on to.
    asset = apprise.AppriseAsset(app_id="gpulab", http_redirects=False, async_mode=False,
                                 service_timeout=within_s)  # fmt: skip
    service = apprise.Apprise(asset=asset)
    try:
        is_known = service.add(url) and len(service) == 1
    except Exception:  # noqa: BLE001 - whatever it is, it may have the address in it
        is_known = False
    if not is_known:
        raise ChannelUnusable("what is in its file is not one Apprise URL")
    return service
