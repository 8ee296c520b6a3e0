"""What a person chose, from the form or the REST API: a flavor and an image of the lab, no more.

The hub stores REST options unread, so everything about them is checked here: types, keys, sizes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.policy import HasLab
from hub.refusals import bad_choice
from quota.lab import Lab
from quota.lab_gpus import Flavor, Image

_KEYS = frozenset({"flavor", "image"})
# The XSRF token may come along with a form or query; it is the hub's own business.
_IGNORED = frozenset({"_xsrf"})
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A flavor and an image that the lab has."""

    flavor: Flavor
    image: Image

    @property
    def as_options(self) -> dict[str, str]:
        """Return it as the hub keeps it for the next time."""
        return {"flavor": self.flavor.name, "image": self.image.name}


def options_from_form(form: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a form or query (lists of texts) into options; nothing is judged here but the shape.

    Raises:
        Refused: something is given twice, or a file is sent.

    """
    options = {}
    for key, values in form.items():
        if key in _IGNORED:
            continue
        if not isinstance(values, list) or len(values) != 1:
            raise bad_choice(f"{_shown(key)} has to be given once.")
        options[key] = values[0]
    return options


def read_choice(options: object, lab: Lab) -> Choice:
    """Find the flavor and image that options name; what is left out costs nothing.

    Raises:
        Refused: they name anything that the lab does not have, or anything else at all.

    """
    if not isinstance(options, Mapping):
        raise bad_choice("The options have to be an object with 'flavor' and 'image'.")
    if unknown := [key for key in options if key not in _KEYS]:
        raise bad_choice(
            f"Unknown option {_shown(unknown[0])}. A session has two options: 'flavor' and "
            "'image'."
        )
    flavor = _one_of(lab.flavors, options.get("flavor"), "flavor", _free_flavor(lab))
    image = _one_of(lab.images, options.get("image"), "image", next(iter(lab.images)))
    return Choice(flavor=lab.flavors[flavor], image=lab.images[image])


class ApplyOptions:
    """The hub's `apply_user_options`: checks, and sets the spawner's flavor and image."""

    def __init__(self, policy: HasLab) -> None:
        self._policy = policy

    def __call__(self, spawner: Any, options: object) -> None:
        """Apply options to a spawner.

        Raises:
            Refused: they cannot be used; they are not kept for the next start either.

        """
        # The hub saved them before anybody looked at them.
        spawner.orm_spawner.user_options = {}
        choice = read_choice(options, self._policy.lab)
        spawner.orm_spawner.user_options = choice.as_options
        spawner.user_options = choice.as_options
        spawner.flavor_name = choice.flavor.name
        spawner.image_name = choice.image.name
        spawner.docker_image = choice.image.docker
        spawner.root_is_read_only = choice.image.read_only


def _one_of(known: Mapping[str, Any], given: object, what: str, default: str | None) -> str:
    names = ", ".join(known)
    if given is None:
        if default is None:
            raise bad_choice(f"Name a {what}. This lab has: {names}.")
        return default
    if not isinstance(given, str):
        raise bad_choice(f"The {what} has to be a text, one of: {names}.")
    if given not in known:
        raise bad_choice(f"This lab has no {what} {_shown(given)}. It has: {names}.")
    return given


def _free_flavor(lab: Lab) -> str | None:
    return next((one.name for one in lab.flavors.values() if not one.is_gpu), None)


def _shown(value: object) -> str:
    """Quote what was sent, in plain ASCII and cut short: it goes into pages and logs."""
    text = ascii(value) if isinstance(value, str) else f"of type {type(value).__name__}"
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 4]}...'"
