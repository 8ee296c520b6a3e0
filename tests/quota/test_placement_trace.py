"""The placement benchmark: what its reader takes, and that all ways place every session."""

from pathlib import Path

from benchmarks.placement import WAYS, replay
from benchmarks.trace import COLUMNS, SAMPLE, Trace, make_sample, read_trace

ROWS = """
openb-pod-0000,12000,16384,1,1000,,LS,Running,0,12537496,0
openb-pod-0001,6000,12288,1,460,,LS,Succeeded,427061,427661,427361
openb-pod-0002,4152,10600,0,0,,BE,Failed,10019860,10024488,10019861
openb-pod-0003,18708,64512,8,1000,V100M32,LS,Running,10019975,10020052,10019975
openb-pod-0004,18708,64512,1,1000,,LS,Pending,10019975,,
"""


def test_what_is_no_session_on_one_gpu_is_left_out_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text(",".join(COLUMNS) + ROWS)
    found = read_trace(file)
    assert [(one.name, one.at_s, one.lasts_s, one.share_mgpu) for one in found.sessions] == [
        ("openb-pod-0000", 0, 12_537_496, 1000), ("openb-pod-0001", 427_061, 300, 460),
    ]  # fmt: skip
    assert found.left_out == {"no GPU": 1, "several GPUs": 1, "never ran": 1}


def test_the_sample_that_ships_is_what_is_generated() -> None:
    lines = SAMPLE.read_text().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    made = [",".join(str(row[name]) for name in COLUMNS) for row in make_sample()]
    assert lines[1:] == made


def test_every_way_places_every_session_and_blocking_serves_the_large_sooner() -> None:
    sessions = read_trace(SAMPLE).sessions[:250]
    results = {way.name: replay(Trace(sessions=sessions, left_out={}), way, 6, 8) for way in WAYS}
    for one in results.values():
        assert len(one.waits_min) == len(sessions)
        assert min(one.waits_min) == 0
        assert 0 < one.taken < 1
    assert results["best fit"].splintered < results["spread"].splintered
    assert max(results["ours"].whole_min) <= max(results["best fit"].whole_min)
