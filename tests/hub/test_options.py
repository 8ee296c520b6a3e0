"""What people choose: only what the lab has, whatever they send (promise P42)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.options import ApplyOptions, options_from_form, read_choice
from hub.refusals import Refused
from tests.hub.doubles import FakeSpawner, FixedLab
from tests.quota.books import make_lab

LAB = make_lab()

BAD: list[tuple[str, Any]] = [
    ("a list", ["cpu"]),
    ("a text", "cpu"),
    ("nothing", None),
    ("an unknown flavor", {"flavor": "tpu"}),
    ("a foreign image", {"image": "evil.example/miner:latest"}),
    ("the image's own reference", {"image": "gpulab/base:latest"}),
    ("an extra key", {"flavor": "cpu", "mem_limit": "1T"}),
    ("environment", {"environment": {"NVIDIA_VISIBLE_DEVICES": "all"}}),
    ("a number", {"flavor": 7}),
    ("a list of flavors", {"flavor": ["cpu", "whole"]}),
    ("an object", {"flavor": {"name": "whole"}}),
    ("a bool", {"image": True}),
    ("NUL", {"flavor": "cpu\0"}),
    ("a lone surrogate", {"flavor": "\ud800"}),
    ("upper case", {"flavor": "CPU"}),
    ("a path", {"image": "../base"}),
    ("ten megabytes", {"flavor": "x" * 10_000_000}),
    ("ten megabytes of key", {"x" * 10_000_000: 1}),
    ("a key that is no text", {7: "cpu"}),
]


@pytest.mark.parametrize("options", [one for _, one in BAD], ids=[name for name, _ in BAD])
def test_p42_bad_options_are_refused_with_a_short_reason(options: Any) -> None:
    with pytest.raises(Refused) as caught:
        read_choice(options, LAB)
    assert caught.value.status_code == 422
    message = caught.value.jupyterhub_message
    assert 10 < len(message) < 300
    message.encode("ascii")


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(options=json)
def test_p42_whatever_is_sent_gives_a_choice_of_the_lab_or_a_refusal(options: Any) -> None:
    try:
        choice = read_choice(options, LAB)
    except Refused:
        return
    assert choice.flavor.name in LAB.flavors
    assert choice.image.docker == "gpulab/base:latest"


def test_what_is_left_out_costs_nothing() -> None:
    choice = read_choice({}, LAB)
    assert (choice.flavor.name, choice.image.name) == ("cpu", "base")


def test_without_a_free_flavor_one_has_to_be_named() -> None:
    lab = LAB.model_copy(update={"flavors": {"whole": LAB.flavors["whole"]}})
    with pytest.raises(Refused, match="whole"):
        read_choice({}, lab)


def test_a_form_becomes_options() -> None:
    form = {"flavor": ["whole"], "image": ["base"], "_xsrf": ["abc"]}
    assert options_from_form(form) == {"flavor": "whole", "image": "base"}


@pytest.mark.parametrize("form", [{"flavor": ["a", "b"]}, {"flavor": []}, {"flavor": "cpu"}])
def test_a_form_with_a_field_twice_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        options_from_form(form)


def test_applied_options_reach_the_spawner_and_are_kept() -> None:
    spawner = FakeSpawner(flavor="")
    ApplyOptions(FixedLab())(spawner, {"flavor": "quarter"})
    assert (spawner.flavor_name, spawner.image_name) == ("quarter", "base")
    assert spawner.docker_image == "gpulab/base:latest"
    assert spawner.orm_spawner.user_options == {"flavor": "quarter", "image": "base"}


def test_refused_options_are_not_kept_for_the_next_start() -> None:
    spawner = FakeSpawner()
    spawner.orm_spawner.user_options = {"flavor": "x" * 1000}
    with pytest.raises(Refused):
        ApplyOptions(FixedLab())(spawner, {"flavor": "x" * 1000})
    assert spawner.orm_spawner.user_options == {}
