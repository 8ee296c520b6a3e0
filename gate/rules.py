"""Which requests the lab has a use for, and what the engine is asked for them; pure."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import quote, urlencode

from gate.creation import checked_creation, checked_volume
from gate.errors import Refused
from gate.heads import Request
from gate.policy import Policy

_FLAG = r"0|1|true|false|True|False"
_NO = r"0|false|False"
_NUMBER = r"-?[0-9]{1,3}"
_INSTANT = r"[0-9]{1,12}(\.[0-9]{1,9})?"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request as the engine gets it, written anew."""

    method: str
    target: str
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskForSession:
    """A request about one container, which has to be one of the lab's."""

    ref: str
    before: str
    after: str
    method: str

    def ask(self, container_id: str) -> Ask:
        """Return the request for a container that is known to be the lab's."""
        return Ask(method=self.method, target=f"{self.before}{container_id}{self.after}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The look at one container, which has to be one of the lab's."""

    ref: str
    ask: Ask


Step: TypeAlias = Ask | AskForSession | Look


def decide(request: Request, body: bytes, policy: Policy) -> Step:
    """Return what the engine is asked.

    Raises:
        Refused: nothing.

    """
    about = request.method, request.words
    if create := _CREATIONS.get(about):
        return create(request, body, policy)
    if body:
        raise Refused(f"{request.shown} has no use for a body")
    if read := _SIMPLE.get(about):
        return read(request, policy)
    match about:
        case _, ("containers", ref, *rest):
            return _about_session(request, ref, tuple(rest))
        case "GET", ("images", *name, "json") if name:
            return _image(request, "/".join(name), policy)
    raise _useless(request)


_ACTIONS: dict[tuple[str, tuple[str, ...]], dict[str, str]] = {
    ("POST", ("start",)): {},
    ("POST", ("stop",)): {"t": r"[0-9]{1,3}"},
    ("POST", ("kill",)): {"signal": r"(SIG)?(KILL|TERM)"},
    ("POST", ("wait",)): {"condition": r"not-running|next-exit"},
    # Neither what runs nor another container's link.
    ("DELETE", ()): {"v": _FLAG, "link": _NO, "force": _NO},
}  # fmt: skip


def _about_session(request: Request, ref: str, rest: tuple[str, ...]) -> Step:
    if _NAME.fullmatch(ref) is None:
        raise _useless(request)
    if (request.method, rest) == ("GET", ("json",)) and not request.query:
        return Look(ref=ref, ask=look_at(ref, request.version))
    allowed = _ACTIONS.get((request.method, rest))
    if allowed is None:
        raise _useless(request)
    query = _parameters(request, allowed)
    after = "".join(f"/{word}" for word in rest)
    return AskForSession(
        ref=ref, method=request.method, before=f"{_prefix(request.version)}/containers/",
        after=after + _written(query),
    )  # fmt: skip


def look_at(ref: str, version: str) -> Ask:
    """Return the request that shows one container."""
    return Ask(method="GET", target=f"{_prefix(version)}/containers/{quote(ref)}/json")


def _plain(request: Request, _policy: Policy) -> Ask:
    return _ask(request, _parameters(request, {}))


def _create_container(request: Request, body: bytes, policy: Policy) -> Ask:
    query = _parameters(request, {"name": r"[A-Za-z0-9_.-]{1,128}"})
    return _ask(request, query, checked_creation(body, query.get("name", ""), policy))


def _create_volume(request: Request, body: bytes, policy: Policy) -> Ask:
    return _ask(request, _parameters(request, {}), checked_volume(body, policy))


def _pull(request: Request, policy: Policy) -> Ask:
    query = _parameters(request, {"fromImage": r"[\w./:@-]{1,300}", "tag": r"[\w.:-]{0,128}"})
    name, tag = query.get("fromImage", ""), query.get("tag", "")
    wanted = f"{name}{'@' if tag.startswith('sha256:') else ':'}{tag}" if tag else name
    _known_image(wanted, policy)
    return _ask(request, query)


def _image(request: Request, reference: str, policy: Policy) -> Ask:
    """Show the image that a reference stood for when the lab started, wherever its tag is now."""
    _parameters(request, {})
    target = f"{_prefix(request.version)}/images/{_known_image(reference, policy)}/json"
    return Ask(method=request.method, target=target)


def _known_image(reference: str, policy: Policy) -> str:
    image = policy.image_id(reference)
    if image is None:
        raise Refused(f"the image {reference[:200]} is none of those that the lab started with")
    return image


def _list(request: Request, policy: Policy) -> Ask:
    query = _parameters(request, {"all": _FLAG, "limit": _NUMBER, "size": _NO, "trunc_cmd": _FLAG,
                                  "filters": r"(?s).*"})  # fmt: skip
    return _ask(request, {**query, "filters": _filters(query, {"label"}, policy)})


def _events(request: Request, policy: Policy) -> Ask:
    query = _parameters(request, {"since": _INSTANT, "until": _INSTANT, "filters": r"(?s).*"})
    filters = _filters(query, {"label", "type", "event"}, policy)
    return _ask(request, {**query, "filters": filters})


def _filters(query: Mapping[str, str], allowed: set[str], policy: Policy) -> str:
    """Return the filters, which have to keep everybody else's containers out."""
    try:
        found = json.loads(query.get("filters") or "{}")
    except (ValueError, RecursionError) as error:
        raise Refused("the filters cannot be read") from error
    if not isinstance(found, dict) or not all(_is_texts(value) for value in found.values()):
        raise Refused("the filters have to be lists of texts")
    if not found.keys() <= allowed:
        raise Refused(f"the filter {min(found.keys() - allowed)[:50]} is not for the lab")
    if policy.label not in found.get("label", ()):
        raise Refused(f"only containers with the label {policy.label} are shown")
    if "type" in allowed and found.get("type") != ["container"]:
        raise Refused("only events of containers are shown")
    return json.dumps(found)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _parameters(request: Request, allowed: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in request.query.items():
        pattern = allowed.get(name)
        if pattern is None or re.fullmatch(pattern, value) is None:
            raise Refused(f"{request.shown} cannot be had with {name[:50]}={value[:50]}")
    return request.query


def _ask(request: Request, query: Mapping[str, str], body: bytes = b"") -> Ask:
    path = _prefix(request.version) + "".join(
        f"/{quote(word, safe=':@')}" for word in request.words
    )
    return Ask(method=request.method, target=path + _written(query), body=body)


def _prefix(version: str) -> str:
    return f"/{version}" if version else ""


def _written(query: Mapping[str, str]) -> str:
    return f"?{urlencode(query)}" if query else ""


def _useless(request: Request) -> Refused:
    return Refused(f"the lab has no use for {request.shown}")


# The whole list, with what is asked about one container (_ACTIONS) and one image.
_CREATIONS: dict[tuple[str, tuple[str, ...]], Callable[[Request, bytes, Policy], Ask]] = {
    ("POST", ("containers", "create")): _create_container,
    ("POST", ("volumes", "create")): _create_volume,
}
_SIMPLE: dict[tuple[str, tuple[str, ...]], Callable[[Request, Policy], Ask]] = {
    ("GET", ("_ping",)): _plain,
    ("HEAD", ("_ping",)): _plain,
    ("GET", ("version",)): _plain,
    ("GET", ("containers", "json")): _list,
    ("GET", ("events",)): _events,
    ("POST", ("images", "create")): _pull,
}
