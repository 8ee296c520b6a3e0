"""Ending a session for sure: hub, then runtime, then kill, then an alarm."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from api.enforce import Enforcer
from quota.clock import SystemClock
from quota.reconcile import StopOrder
from tests.api.runtime import FakeRuntime, session

CLOCK = SystemClock()


def _order(ref: str = "c-1", reason: str = "exhausted") -> StopOrder:
    return StopOrder(lease_id=uuid4(), ref=ref, account="ada", server_name="", reason=reason,
                     paid_until=None)  # fmt: skip


def _runtime(*refs: str, survives: tuple[str, ...] = ()) -> FakeRuntime:
    runtime = FakeRuntime(CLOCK.now, survives=set(survives))
    for ref in refs or ("c-1",):
        runtime.run(session(CLOCK.now(), ref))
    return runtime


def _carry_out(
    runtime: FakeRuntime, stop_server: Callable[[str, str], bool], *orders: StopOrder,
    hub_budget_s: float = 0.6, wait: bool = True,
) -> tuple[list[dict[str, object]], list[int]]:  # fmt: skip
    """Carry orders out; return what was logged, and one entry for each one that is gone."""
    gone: list[int] = []
    enforcer = Enforcer(runtime, stop_server, hub_budget_s=hub_budget_s, grace_s=1,
                        on_gone=lambda: gone.append(1))  # fmt: skip
    with capture_logs() as logs:
        enforcer.carry_out(list(orders) or [_order()])
        if wait:
            for done in list(enforcer._busy.values()):
                done.result(timeout=30)
        enforcer.close()
    return [dict(one) for one in logs], gone


def test_p18_a_hub_that_stops_it_is_enough() -> None:
    runtime = _runtime()
    asked = []

    def stop_server(account: str, server: str) -> bool:
        asked.append((account, server))
        runtime.end("c-1")
        return True

    logs, gone = _carry_out(runtime, stop_server)
    assert asked == [("ada", "")]
    assert runtime.calls == [], "the runtime itself was not asked to stop anything"
    assert [one["how"] for one in logs] == ["hub"]
    assert gone == [1]


def test_p18_a_hub_that_only_says_so_is_not_believed() -> None:
    runtime = _runtime()
    began = time.monotonic()
    logs, gone = _carry_out(runtime, lambda *_: True)
    assert 0.6 <= time.monotonic() - began < 5
    assert runtime.calls == [("stop", "c-1")]
    assert [one["event"] for one in logs if one.get("alarm")] == ["hub_did_not_stop"]
    assert logs[-1]["how"] == "runtime"
    assert gone == [1]


def test_p19_a_dead_hub_costs_no_time() -> None:
    runtime = _runtime()
    began = time.monotonic()
    _carry_out(runtime, lambda *_: False, hub_budget_s=8)
    assert time.monotonic() - began < 2
    assert runtime.calls == [("stop", "c-1")]


@pytest.mark.parametrize("reason", ["server_gone", "person", "orphan", "not_admitted"])
def test_p26_a_stop_of_what_the_hub_has_forgotten_does_not_hit_what_it_starts(reason: str) -> None:
    runtime, asked = _runtime(), list[tuple[str, ...]]()

    def hub(*words: str) -> bool:
        asked.append(words)
        return True

    logs, gone = _carry_out(runtime, hub, _order(reason=reason))
    assert asked == []
    assert runtime.calls == [("stop", "c-1")]
    assert not any(one.get("alarm") for one in logs)
    assert gone == [1]


def test_what_survives_a_stop_is_killed() -> None:
    runtime = _runtime(survives=("stop",))
    logs, _ = _carry_out(runtime, lambda *_: False)
    assert runtime.calls == [("stop", "c-1"), ("kill", "c-1")]
    assert logs[-1]["how"] == "kill"


@pytest.mark.parametrize("fault", ["survives", "away"])
def test_what_survives_everything_is_an_alarm(fault: str) -> None:
    runtime = _runtime(survives=("stop", "kill"))
    runtime.is_away = fault == "away"
    logs, gone = _carry_out(runtime, lambda *_: False)
    assert [one[0] for one in runtime.calls] == ["stop", "kill"]
    assert [one["event"] for one in logs if one.get("alarm")] == ["session_not_stopped"]
    assert gone == []


def test_a_broken_step_is_an_alarm_and_is_tried_again() -> None:
    runtime = _runtime()

    def broken(*_: str) -> bool:
        raise RuntimeError("a mistake of ours")

    order = _order()
    logs, _ = _carry_out(runtime, broken, order)
    assert [one["event"] for one in logs if one.get("alarm")] == ["stop_broken"]
    _, gone = _carry_out(runtime, lambda *_: False, order)
    assert gone == [1]


def test_an_order_in_progress_is_not_begun_again() -> None:
    runtime, order = _runtime(), _order()
    release, asked = threading.Event(), []

    def slow(*words: str) -> bool:
        asked.append(words)
        assert release.wait(10)
        return False

    enforcer = Enforcer(runtime, slow, hub_budget_s=8, grace_s=1, on_gone=lambda: None)
    with closing(enforcer):
        for _ in range(5):
            enforcer.carry_out([order])
        release.set()
        for done in list(enforcer._busy.values()):
            done.result(timeout=10)
    assert len(asked) == 1


def test_p17_all_that_end_together_are_stopped_side_by_side() -> None:
    refs = [f"c-{number}" for number in range(64)]
    runtime = _runtime(*refs)
    began = time.monotonic()
    _, gone = _carry_out(runtime, lambda *_: True, *map(_order, refs), hub_budget_s=1.0)
    assert len(gone) == 64
    assert time.monotonic() - began < 6, "not one after the other"
