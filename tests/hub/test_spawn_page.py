"""What the spawn page shows, with and without the service."""

import pytest

from hub.client import ServiceUnavailable
from hub.spawn_page import (
    OptionsForm,
    balance_text,
    last_choice,
    offline_page,
    online_page,
)
from tests.hub.doubles import FakeSpawner, FixedLab, ScriptedService, refusal, run
from tests.hub.shown import RESET, account, flavor, options
from tests.quota.books import make_lab

LAB = make_lab()
NO = {"code": "insufficient_balance", "detail": "Not enough.", "retry_at": RESET}


def test_cards_say_cost_places_and_how_long_the_hours_last() -> None:
    page = online_page(options(flavor()), LAB, ("", ""))
    card = page.flavors[0]
    assert (card.cost, card.free, card.lasts) == (
        "1 GPU-hour per hour", "1 of 2 free now", "Your hours would last 9 h 45 min")  # fmt: skip
    assert page.balance == "9.75 GPU-hours left"
    assert page.resets == (
        "The next hours come on Monday, 30 November at 00:00 (America/New_York)."
    )


def test_a_card_that_cannot_be_had_says_why_and_when() -> None:
    off = flavor(may_start=False, refusal=NO)
    page = online_page(options(flavor("cpu", is_gpu=False, weight_mgpu=0, lasts_s=None), off),
                       LAB, ("whole", "base"))  # fmt: skip
    cpu, whole = page.flavors
    assert (cpu.cost, cpu.free, cpu.lasts, cpu.is_chosen) == ("free", "", "", True)
    assert whole.why_not == (
        "Not enough. Again on Monday, 30 November at 00:00 (America/New_York)."
    )
    assert not whole.is_chosen


@pytest.mark.parametrize(
    ("free", "total", "text"),
    [
        (0, 2, "All 2 taken; you would wait in the line"),
        (0, 0, "No GPU for it in service now"),
    ],
)
def test_places(free: int, total: int, text: str) -> None:
    page = online_page(options(flavor(free_slots=free, total_slots=total)), LAB, ("", ""))
    assert page.flavors[0].free == text


def test_the_last_choice_is_chosen_again() -> None:
    page = online_page(options(flavor("cpu"), flavor("whole")), LAB, ("whole", "base"))
    assert [card.is_chosen for card in page.flavors] == [False, True]


@pytest.mark.parametrize("options", [None, {}, {"flavor": "gone"}, {"x": 1}, [], "text"])
def test_a_last_choice_that_the_lab_no_longer_has_is_none(options: object) -> None:
    assert last_choice(options, LAB)[0] == ""


def test_without_the_service_only_what_costs_nothing_can_be_had() -> None:
    page = offline_page(LAB, ("whole", ""), "Away.")
    assert {card.name: bool(card.why_not) for card in page.flavors} == {
        "cpu": False, "quarter": True, "whole": True}  # fmt: skip
    assert [card.name for card in page.flavors if card.is_chosen] == ["cpu"]


def shown(service: ScriptedService) -> str:
    return run(OptionsForm(service, FixedLab())(FakeSpawner()))


def test_the_form_is_accessible_and_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    off = flavor(may_start=False, title=evil, refusal=NO | {"detail": evil})
    html = shown(ScriptedService(options_reply=options(flavor("cpu"), off)))
    assert "<img" not in html
    assert html.count("&lt;img") == 2
    assert html.count("<legend>") == html.count("<fieldset>") == 2
    assert html.count("<label") == html.count("<input") == 3
    assert 'disabled aria-describedby="why-whole"' in html
    assert 'id="why-whole"' in html
    assert "http" not in html, "nothing comes from elsewhere"


@pytest.mark.parametrize("error", [ServiceUnavailable("x"), refusal("no_such_account")])
def test_p27_the_form_is_there_when_the_service_is_not(error: Exception) -> None:
    html = shown(ScriptedService(options_reply=error))
    assert html.count("disabled") == 2
    assert 'value="cpu" required\n               checked' in html


def test_what_is_set_aside_is_named() -> None:
    text = balance_text(account(held_mgpu_ms=600_000_000))
    assert text == "9.75 GPU-hours left (0.17 set aside for your session)"
