"""Flavors for GPU models and MIG profiles: where they are placed, what they cost, who waits."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from quota.errors import FlavorCannotBePlaced
from quota.lab_file import LabFileError, parse_lab
from quota.placement import Ask, choose, could_ever_fit, count_slots, suits
from tests.quota.books import LAB_YAML, Desk, gpu, hours, make_lab

H100 = replace(gpu("GPU-H", 81_559), name="NVIDIA H100 80GB HBM3")
A100 = replace(gpu("GPU-A", 40_960), name="NVIDIA A100-SXM4-40GB")
SLICE = replace(gpu("MIG-1", 9_984), name="NVIDIA H100 80GB HBM3 MIG 1g.10gb", kind="mig")

FLAVORS = """
  h100: {weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 40000, gpu_models: [H100]}
  a100: {weight_mgpu: 643, share_mgpu: 1000, gpu_models: [A100-SXM4-40GB, A30]}
  slice: {weight_mgpu: 143, share_mgpu: 1000, gpu_models: [1g.10gb]}
"""
MIXED = LAB_YAML.replace("flavors:", f"flavors:{FLAVORS.rstrip()}").replace(
    "mode: declared", "mode: auto"
)


@pytest.fixture
def mixed(desk: Desk) -> Desk:
    desk.follow(make_lab(MIXED))
    desk.books.set_inventory([H100, A100, SLICE])
    return desk


@pytest.mark.parametrize(
    ("model", "suiting"),
    [("H100", {"GPU-H", "MIG-1"}), ("h100 80gb", {"GPU-H", "MIG-1"}), ("1g.10gb", {"MIG-1"}),
     ("MIG 1g.10gb", {"MIG-1"}), ("A100", {"GPU-A"}), ("A100-SXM4-40GB", {"GPU-A"}),
     ("A100 40GB", set()), ("H10", set()), ("80GB H100", set()),
     ("NVIDIA", {"GPU-H", "GPU-A", "MIG-1"})],
)  # fmt: skip
def test_a_model_is_words_of_the_name(model: str, suiting: set[str]) -> None:
    assert {one.uuid for one in (H100, A100, SLICE) if suits(one.name, [model])} == suiting


def test_a_place_is_on_a_model_that_is_named() -> None:
    some = (H100, A100, SLICE)
    for models, uuid in ((("1g.10gb",), "MIG-1"), (("A100-SXM4-40GB",), "GPU-A"), (("T4",), None)):
        ask = Ask(1000, 1, models)
        found = choose(some, ask, max_sharers=4, placement="pack")
        assert (found and found.uuid) == uuid
        assert could_ever_fit(some, ask) == (uuid is not None)
        assert count_slots(some, ask, 4) == ((1, 1) if uuid else (0, 0))


def test_sessions_are_placed_and_charged_by_model(mixed: Desk) -> None:
    placed = {}
    for who, flavor in (("ada", "a100"), ("blaise", "slice"), ("chen", "h100")):
        view = mixed.ask(who, flavor)
        placed[flavor] = view.lease.gpu_uuid
        mixed.start(view)
    mixed.tick()
    assert placed == {"a100": "GPU-A", "slice": "MIG-1", "h100": "GPU-H"}
    mixed.go(hours=1, every_s=300)
    for who, cost_mgpu in (("ada", 643), ("blaise", 143), ("chen", 1000)):
        left = mixed.books.account(who).balance
        assert left.mgpu_ms == hours("10").mgpu_ms - cost_mgpu * 3_600_000


def test_who_waits_for_one_model_is_not_in_the_way_of_another(mixed: Desk) -> None:
    mixed.run("ada", "h100")
    waits = mixed.ask("blaise", "h100")
    assert waits.lease.state == "waiting"
    mixed.clock.advance(timedelta(minutes=20))  # now the one ahead blocks a GPU for itself
    mixed.ask("blaise", "h100", lease_id=waits.lease.id)
    assert mixed.ask("chen", "a100").lease.gpu_uuid == "GPU-A"
    assert mixed.ask("blaise", "h100", lease_id=waits.lease.id).lease.state == "waiting"


def test_the_spawn_page_shows_price_and_room_of_each_model(mixed: Desk) -> None:
    mixed.run("ada", "a100")
    shown = {one.flavor.name: one for one in mixed.books.spawn_options("blaise").flavors}
    assert [(shown[name].free_slots, shown[name].total_slots) for name in ("h100", "a100")] == [
        (1, 1), (0, 1)]  # fmt: skip
    assert shown["a100"].lasts_s == hours("10").lasts_ms(643) // 1000
    mixed.books.set_inventory([H100])
    with pytest.raises(FlavorCannotBePlaced, match=r"A30, and none is in service\. .*H100 80GB"):
        mixed.ask("blaise", "a100")
    shown = {one.flavor.name: one for one in mixed.books.spawn_options("blaise").flavors}
    assert shown["a100"].refusal is not None


def test_a_flavor_that_nobody_can_place_names_what_is_there() -> None:
    text = MIXED.replace("mode: auto", "mode: declared").replace(
        "declared: [{name: Virtual GPU, memory_mib: 16384, count: 2}]",
        "declared: [{name: Virtual H100, memory_mib: 81559}, {name: Virtual A30, memory_mib: 1}]",
    )
    with pytest.raises(LabFileError) as error:
        parse_lab(text, "lab.yaml")
    (problem,) = error.value.problems
    assert str(problem).partition(": ")[2] == (
        "flavors.slice.gpu_models: no GPU is called '1g.10gb'; write words of a name that is "
        "there: 'Virtual A30', 'Virtual H100'"
    )
    with pytest.raises(LabFileError, match="fit on no GPU of its models; the largest has 1 MiB"):
        parse_lab(text.replace("share_mgpu: 1000, gpu_models: [1g.10gb]",
                               "share_mgpu: 1000, memory_mib: 2, gpu_models: [A30]"),
                  "lab.yaml")  # fmt: skip


@pytest.mark.parametrize("prices", ["{H100: 1000, A100: 643}", "[1000, 643]"])
def test_prices_by_model_in_one_flavor_are_refused_with_the_way_to_write_them(prices: str) -> None:
    text = LAB_YAML.replace("weight_mgpu: 1000, share", f"weight_mgpu: {prices}, share")
    with pytest.raises(LabFileError) as error:
        parse_lab(text, "lab.yaml")
    (problem,) = error.value.problems
    said = str(problem).partition(": ")[2]
    assert said.startswith("flavors.whole.weight_mgpu: ")
    assert said.endswith(
        "where a flavor has one price on whatever GPU it is placed; make a flavor for each GPU "
        "model, with gpu_models and weight_mgpu of its own"
    )


def test_a_change_of_models_reaches_who_waits(mixed: Desk) -> None:
    mixed.run("ada", "h100")
    waits = mixed.ask("blaise", "h100")
    assert waits.lease.state == "waiting"
    mixed.follow(make_lab(MIXED.replace("memory_mib: 40000, gpu_models: [H100]",
                                        "memory_mib: 40000, gpu_models: [NVIDIA]")))  # fmt: skip
    again = mixed.ask("blaise", "h100", lease_id=waits.lease.id)
    assert (again.lease.state, again.lease.gpu_uuid) == ("held", "GPU-A")
    assert mixed.ask("chen", "slice", lease_id=uuid4()).lease.gpu_uuid == "MIG-1"
