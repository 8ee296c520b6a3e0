"""Plans can be believed: they come out the same for other classes of the same kind."""

from dataclasses import replace
from statistics import median

import pytest

from quota.amount import GpuTime
from quota.invariants import Violation
from quota.lab import Lab
from quota.lab_file import parse_lab
from quota.quantiles import quantile
from quota.simulation import plan as planning
from quota.simulation.behaviour import Behaviour
from quota.simulation.figures import Figures, Waits, figures_of, waits_of
from quota.simulation.memory import MemoryKeeper
from quota.simulation.plan import Answer, BooksBroken, Plan, answer, runs_of, simulate
from quota.simulation.variants import for_planning, gpus_of, with_allowance, with_scholars
from quota.simulation.visits import draw_visits
from tests.simulation.classes import TODAY, question, small_lab
from tests.simulation.labs import PROGRAM

# So few GPUs that half of the class waits: quantiles of nothing but zeros would prove nothing.
_CROWDED = 1
_SCHOLARS = 70


def program(scholars: int) -> Lab:
    return with_scholars(parse_lab(PROGRAM, "lab.yaml"), scholars)


def figures(lab: Lab, seeds: range, *, gpus: int, percent: int = 100) -> Figures:
    asked = [question(lab, seed=seed, gpus=gpus, percent=percent) for seed in seeds]
    return figures_of([simulate(one) for one in asked])


def off_by(predicted: float, seen: float) -> float:
    return abs(predicted - seen) / seen


def worst_off(predicted: Waits, seen: list[Waits]) -> float:
    """How far the classes that were seen are from what was predicted, in p50 or p95."""
    p50_s, p95_s = median(one.p50_s for one in seen), median(one.p95_s for one in seen)
    return max(off_by(predicted.p50_s, p50_s), off_by(predicted.p95_s, p95_s))


def test_predicted_waits_are_those_of_other_classes_within_a_fifth() -> None:
    lab = program(_SCHOLARS)
    predicted = figures(lab, range(1, 3), gpus=_CROWDED).waits
    seen = [waits_of(simulate(question(lab, seed=seed, gpus=_CROWDED)).waits)
            for seed in range(101, 104)]  # fmt: skip
    assert min(one.p50_s for one in seen) > 600, "half of them wait: the test can fail"
    assert worst_off(predicted, seen) < 0.2, (predicted, seen)
    calm = Behaviour(wanted_share=0.45)
    others = waits_of(simulate(question(lab, seed=101, gpus=_CROWDED, behaviour=calm)).waits)
    assert worst_off(predicted, [others]) > 0.2, "the negative control: people who want less"


@pytest.mark.long
@pytest.mark.parametrize(("scholars", "gpus"), [(70, 1), (130, 2), (200, 3)])
def test_predictions_hold_for_single_classes(scholars: int, gpus: int) -> None:
    lab = program(scholars)
    predicted = figures(lab, range(1, 7), gpus=gpus).waits
    seen = [waits_of(simulate(question(lab, seed=seed, gpus=gpus)).waits)
            for seed in range(101, 107)]  # fmt: skip
    close = [one for one in seen if off_by(predicted.p95_s, one.p95_s) < 0.2]
    assert len(close) >= 5, (predicted, seen)


def test_another_behaviour_is_another_prediction() -> None:
    lab = program(30)
    calm, keen = (
        waits_of(simulate(question(lab, seed=1, gpus=1, weeks=5, behaviour=one)).waits)
        for one in (Behaviour(wanted_share=0.4), Behaviour(wanted_share=1.2))
    )
    assert keen.p95_s > 1.2 * calm.p95_s


def test_more_gpus_shorten_waits_and_more_hours_lengthen_them() -> None:
    lab = program(45)
    few, more = figures(lab, range(1, 2), gpus=1), figures(lab, range(1, 2), gpus=3)
    assert few.waits.mean_s > 2 * more.waits.mean_s
    assert few.busy > 2 * more.busy
    ample = figures(lab, range(1, 2), gpus=1, percent=200)
    assert ample.ran_out < few.ran_out
    assert ample.used_h > few.used_h
    assert ample.given_h == pytest.approx(2 * few.given_h)


def test_the_same_people_come_whatever_is_tried() -> None:
    lab = program(30)
    some = draw_visits(lab, Behaviour(), seed=1, today=TODAY)
    others = draw_visits(with_scholars(lab, 60), Behaviour(), seed=1, today=TODAY)
    named = {visit.scholar for visit in some}
    assert [visit for visit in others if visit.scholar in named] == some
    assert draw_visits(lab, Behaviour(), seed=2, today=TODAY) != some


def test_a_plan_is_the_same_in_several_processes() -> None:
    wanted = Plan(lab=program(6), behaviour=Behaviour(), today=TODAY, weeks=4, gpus=(1, 2),
                  percents=(50,), details_at=1, within_s=900, seeds=(1, 2))  # fmt: skip
    seen: list[int] = []
    alone = answer(wanted, on_done=lambda one: seen.append(one.gpus))
    assert answer(wanted, processes=2) == alone
    assert sorted(seen) == [1, 1, 1, 1, 2, 2]
    assert runs_of(wanted) == len(seen)
    assert [one.percent for one in alone.by_percent] == [50, 100]


def test_details_are_shown_where_it_is_just_enough() -> None:
    wanted = Plan(lab=program(9), behaviour=Behaviour(), today=TODAY, weeks=4, gpus=(1, 2, 3),
                  percents=(), details_at=None, within_s=60, seeds=(1,))  # fmt: skip
    found: Answer = answer(wanted)
    first = [one.gpus for one in found.by_gpus if one.waits.p95_s <= 60][0]  # noqa: RUF015
    assert found.compare_at == first


def test_books_that_do_not_add_up_end_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryKeeper, "_take", lambda *_args: None)
    with pytest.raises(BooksBroken, match="GPU-000"):
        simulate(question(program(6), seed=1, gpus=1, weeks=4))
    broken = [Violation("I1", "account ada", "lots does not add up")]
    monkeypatch.setattr(planning, "broken_in_memory", lambda _keeper: broken)
    with pytest.raises(BooksBroken, match="ada"):
        simulate(question(program(6), seed=1, gpus=1, weeks=1))


def test_scholars_are_spread_as_the_roster_is() -> None:
    lab = with_scholars(small_lab(), 4)
    sizes = {name: len(one.scholars) for name, one in lab.sections.items()}
    assert sizes == {"west": 2, "east": 2}
    assert "emeka" in lab.scholars
    more = with_scholars(small_lab(), 121)
    assert len(more.roster) == 121
    assert more.section_of("east-scholar-0060") is not None
    with pytest.raises(ValueError, match="at least 2"):
        with_scholars(small_lab(), 1)


def test_an_allowance_scales_all_hours() -> None:
    lab = with_allowance(small_lab(), 150)
    assert lab.sections["west"].hours_per_week == GpuTime.hours("4.5")
    assert lab.due_dates["first"].hours == GpuTime.hours("1.5")
    assert lab.program is not None
    assert lab.program.weeks[1].hours == GpuTime.hours(6)


def test_planning_leaves_alone_what_could_change_a_wait() -> None:
    lab = small_lab()
    assert for_planning(lab).policy.hold_step_s == lab.policy.hold_step_s, "it has a pool"
    assert for_planning(program(3)).policy.hold_step_s == 86_400
    twice = replace_sessions(program(3), 2)
    assert for_planning(twice).policy.hold_step_s == twice.policy.hold_step_s


def replace_sessions(lab: Lab, count: int) -> Lab:
    policy = lab.policy.model_copy(update={"sessions_per_scholar": count})
    return lab.model_copy(update={"policy": policy})


def test_gpus_are_as_the_lab_declares_them() -> None:
    found = gpus_of(program(3), 10)
    assert len({gpu.uuid for gpu in found}) == 10
    assert {gpu.memory_mib for gpu in found} == {16384}


def test_quantiles_lie_between_neighbours() -> None:
    assert quantile([], 0.5) == 0
    assert quantile([1, 2, 3, 4], 0.5) == 2.5
    assert quantile([7], 0.95) == 7
    nobody = waits_of([])
    assert nobody == Waits(wishes=0, at_once=1.0, p50_s=0, p95_s=0, mean_s=0, waited_p50_s=0,
                           gave_up=0)  # fmt: skip
    assert replace(nobody, wishes=1) != nobody
