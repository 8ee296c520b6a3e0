"""What the Docker engine says when it cannot, as sentences for the person who waits; pure."""

import re
from typing import NamedTuple

import requests
from docker.errors import APIError, DockerException, ImageNotFound

from hub.refusals import Refused

# What a call to the engine may end with; whatever else it raises is a fault of the lab.
ENGINE_ERRORS = (APIError, DockerException, requests.RequestException, OSError)

_LONGEST = 500


class _Case(NamedTuple):
    reason: str
    said: re.Pattern[str]
    sentence: str


def _case(reason: str, said: str, sentence: str) -> _Case:
    return _Case(reason, re.compile(said, re.IGNORECASE), sentence)


# The first that fits; what the engine said goes to the hub's log whole.
_CASES = (
    _case(
        "gate", r"the lab's gate refuses this: (?P<why>.*)",
        "The lab does not let this container start: {why}. Tell an organizer: an operator may "
        "have to start the lab again after a change in its settings.",
    ),
    _case(
        "image_missing",
        r"no such image|manifest unknown|pull access denied|repository .* not found|"
        r"(lookup|dial tcp) .*(registry|no such host|timeout)|toomanyrequests",
        "The image {image} is not on this machine, and it could not be fetched. Choose another "
        "one, and tell an organizer.",
    ),
    _case(
        "disk_full", r"no space left on device|disk quota exceeded",
        "The disk of the machine that runs the sessions is full. Tell an organizer; trying again "
        "will not help until somebody has made room.",
    ),
    _case(
        "name_taken", r"conflict\. the container name|is already in use by container",
        "A container with the name of this session is there already. Try again: the next start "
        "gets a name of its own.",
    ),
    _case(
        "gpu_missing",
        r"could not select device driver|nvidia-container|unresolvable cdi devices|cdi device|"
        r"nvml|libcuda|unknown or invalid runtime name: nvidia",
        "The GPU that was granted cannot be given to a container: its driver or the NVIDIA "
        "container toolkit is missing or broken on this machine. Nothing was charged. Take a "
        "session without a GPU meanwhile, and tell an organizer.",
    ),
    _case(
        "network_missing", r"network \S+ not found|could not find network|no such network",
        "The network of the lab's sessions is gone. Tell an organizer: an operator has to start "
        "the lab again.",
    ),
    _case(
        "no_memory", r"cannot allocate memory|not enough memory",
        "The machine that runs the sessions has no memory left just now. Try again in a few "
        "minutes, or take a smaller session.",
    ),
)  # fmt: skip
_AWAY = "The Docker engine of the lab does not answer just now. Try again in a minute."


def could_not_start(error: Exception, image: str) -> Refused:
    """Refuse a start that the engine could not make."""
    said = str(error.explanation or error) if isinstance(error, APIError) else str(error)
    for case in _CASES:
        if found := case.said.search(said):
            why = found.groupdict().get("why", "").strip().rstrip(".")
            return _refused(case.sentence.format(image=image, why=why[:200]), case.reason)
    if isinstance(error, ImageNotFound):
        return _refused(_sentence_of("image_missing").format(image=image), "image_missing")
    if isinstance(error, APIError) and error.status_code is not None:
        return _refused(f"The container could not start: {said}.", "docker")
    return _refused(_AWAY, "engine_away")


def unsafe_volume(source: str) -> Refused:
    """Refuse a place on the machine that a person's name could lead out of."""
    return _refused(
        f"The lab's configuration names the volume {source}, which people's names can lead out "
        "of. Tell an organizer: an operator has to write {username} there.", "unsafe_volume",
    )  # fmt: skip


def _sentence_of(reason: str) -> str:
    return next(case.sentence for case in _CASES if case.reason == reason)


def _refused(sentence: str, reason: str) -> Refused:
    return Refused(sentence[:_LONGEST], reason=reason, status_code=503)
