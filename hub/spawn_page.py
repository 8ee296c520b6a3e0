"""The spawn page: cards of flavors and images, with what they cost and why some cannot be had."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from hub.client import LabService, ServiceRefused, ServiceUnavailable
from hub.options import read_choice
from hub.policy import HasLab
from hub.refusals import Refused
from hub.replies import Account, Flavor, SpawnOptions
from quota.amount import GpuTime
from quota.emergency import Emergency
from quota.lab import Lab
from quota.shown import cost_text, moment_text, span_text

log = logging.getLogger(__name__)

PAGES = Path(__file__).parent
TEMPLATES = PAGES / "templates"
_AWAY = (
    "The lab's books of GPU-hours cannot be reached just now. You can start without a GPU; "
    "GPU sessions come back as soon as the books answer."
)
_EMERGENCY = (
    "The lab's books of GPU-hours cannot be reached just now. In emergency mode GPU sessions "
    "start without them, where a GPU has room."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorCard:
    """A flavor to choose, or the reason why not."""

    name: str
    title: str
    description: str
    cost: str
    free: str
    lasts: str
    why_not: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCard:
    """An image to choose."""

    name: str
    title: str
    description: str
    is_chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SpawnPage:
    """All that the page shows."""

    flavors: tuple[FlavorCard, ...]
    images: tuple[ImageCard, ...]
    balance: str
    resets: str
    away: str
    notes: tuple[str, ...] = ()


class OptionsForm:
    """The hub's `options_form`: the inside of the form, as HTML."""

    def __init__(
        self, service: LabService, policy: HasLab,
        emergency: Callable[[], Emergency | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._emergency = emergency
        self._service = service
        self._policy = policy
        pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
        self._template = pages.get_template("spawn_form.html")

    async def __call__(self, spawner: Any) -> str:
        """Show what this person could start now; without the service, what needs none."""
        lab = self._policy.lab
        before = last_choice(spawner.orm_spawner.user_options, lab)
        try:
            page = online_page(await self._service.spawn_options(spawner.user.name), lab, before)
        except ServiceUnavailable:
            may_start = self._emergency() is not None
            page = offline_page(lab, before, _EMERGENCY if may_start else _AWAY,
                                gpus_start=may_start)  # fmt: skip
        except ServiceRefused as no:
            page = offline_page(lab, before, no.detail)
        return self._template.render(page=page)


def last_choice(options: object, lab: Lab) -> tuple[str, str]:
    """Return the flavor and image of the last start, as far as the lab still has them."""
    try:
        choice = read_choice(options or {}, lab)
    except Refused:
        return ("", "")
    # Nothing was chosen yet: then no flavor is suggested over the others.
    return (choice.flavor.name if options else "", choice.image.name)


def online_page(options: SpawnOptions, lab: Lab, before: tuple[str, str]) -> SpawnPage:
    """Lay out what the service offers."""
    account = options.account
    can = [one.name for one in options.flavors if one.may_start]
    turns = [one.flavor for one in account.sessions if one.keeps_place and one.turn_until]
    wished = next(iter(turns), before[0])
    chosen = wished if wished in can else next(iter(can), "")
    return SpawnPage(
        flavors=tuple(_card(one, account, chosen) for one in options.flavors),
        images=_images(lab, before[1]),
        balance=balance_text(account),
        resets=resets_text(account),
        away="",
        notes=tuple(options.gpu_notes),
    )


def offline_page(
    lab: Lab, before: tuple[str, str], sentence: str, *, gpus_start: bool = False
) -> SpawnPage:
    """Lay out what can be had without the service: what costs nothing, in an emergency all."""
    free = [one.name for one in lab.flavors.values() if not one.is_gpu]
    chosen = before[0] if before[0] in free else next(iter(free), "")
    cards = tuple(
        FlavorCard(
            name=one.name, title=one.title, description=one.description, free="", lasts="",
            cost=cost_text(one.weight_mgpu), is_chosen=one.name == chosen,
            why_not="Not while the books cannot be reached."
            if one.is_gpu and not gpus_start else "",
        )
        for one in lab.flavors.values()
    )  # fmt: skip
    return SpawnPage(flavors=cards, images=_images(lab, before[1]), balance="", resets="",
                     away=sentence)  # fmt: skip


def balance_text(account: Account) -> str:
    """Say what is left: '9.75 GPU-hours left (0.04 set aside for your session)'."""
    text = f"{account.balance_hours} GPU-hours left"
    if account.held_mgpu_ms <= 0:
        return text
    return f"{text} ({GpuTime(account.held_mgpu_ms).hours_text()} set aside for your session)"


def resets_text(account: Account) -> str:
    """Say when the next hours come, in the person's own zone."""
    if account.resets_at is None:
        return ""
    return f"The next hours come on {moment_text(account.resets_at, account.time_zone)}."


def _card(one: Flavor, account: Account, chosen: str) -> FlavorCard:
    free = ""
    if one.is_gpu:
        free = f"{one.free_slots} of {one.total_slots} free now"
        if not one.free_slots:
            free = f"All {one.total_slots} taken; you would wait in the line"
        if not one.total_slots:
            free = "No GPU for it in service now"
        free = _place_text(one, account) or free
    why_not = ""
    if one.refusal is not None:
        why_not = one.refusal.detail
        if one.refusal.retry_at is not None:
            why_not += f" Again on {moment_text(one.refusal.retry_at, account.time_zone)}."
    lasts = "" if one.lasts_s is None else f"Your hours would last {span_text(one.lasts_s)}"
    return FlavorCard(
        name=one.name, title=one.title, description=one.description, free=free, lasts=lasts,
        cost=cost_text(one.weight_mgpu), why_not=why_not, is_chosen=one.name == chosen,
    )  # fmt: skip


def _place_text(one: Flavor, account: Account) -> str:
    """Say that somebody has a place in the line for a flavor, or that their turn has come."""
    place = next((it for it in account.sessions if it.keeps_place and it.flavor == one.name), None)
    if place is None:
        return ""
    if place.turn_until is None:
        return "You have a place in the line; starting it here goes on from there"
    return f"A GPU is kept for you until {moment_text(place.turn_until, account.time_zone)}"


def _images(lab: Lab, before: str) -> tuple[ImageCard, ...]:
    chosen = before if before in lab.images else next(iter(lab.images))
    return tuple(
        ImageCard(name=one.name, title=one.title, description=one.description,
                  is_chosen=one.name == chosen)
        for one in lab.images.values()
    )  # fmt: skip
