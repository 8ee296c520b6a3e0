"""What Prometheus reads of the service: true, bounded, in base units, and without names."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from api.metrics import REFUSAL_CODES, Metrics
from api.metrics_details import DetailMetrics, section_families
from api.metrics_people import SECRET, pseudonym
from quota.audit import By
from quota.census import OTHERS, SectionFigures, take_census
from quota.errors import BooksUnavailable
from quota.lab_file import parse_lab
from quota.store import reads
from quota.store.engine import reading
from quota.tick import TickResult
from tests.api.desk import ApiDesk, open_service, secrets_in
from tests.compose.tools import run, tool
from tests.quota.books import LAB_YAML, Desk, hours
from tests.quota.test_section_overview import counted

PEOPLE = ("ada", "blaise", "chen", "dina", "emeka", "tomas", "olga")


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text) for one in family.samples
    }  # fmt: skip


def value(service: ApiDesk, name: str, path: str = "/metrics", **labels: str) -> float | None:
    return values(service.get(path, None).text).get((name, frozenset(labels.items())))


def details(service: ApiDesk, name: str, **labels: str) -> float | None:
    return value(service, name, "/metrics/details", **labels)


def test_waits_starts_and_lines_are_counted(service: ApiDesk) -> None:
    desk = service.books
    lease, ref = desk.run("ada", "whole")
    desk.run("blaise", "whole")
    waiting = desk.ask("chen", "whole")
    assert waiting.lease.state == "waiting"
    since = value(service, "gpulab_waiting_oldest_timestamp_seconds", flavor="whole")
    assert since == desk.clock.now().timestamp()
    desk.go(every_s=15, seconds=30)
    desk.finish(ref)
    desk.tick()
    again = desk.ask("chen", "whole", lease_id=waiting.lease.id)
    assert again.lease.state == "held"
    desk.clock.set(desk.clock.now() + timedelta(seconds=7))
    desk.start(again)
    desk.tick()
    assert value(service, "gpulab_session_wait_seconds_count") == 3
    assert value(service, "gpulab_session_wait_seconds_sum") == 30
    assert value(service, "gpulab_session_wait_seconds_bucket", le="1") == 2
    assert value(service, "gpulab_session_start_seconds_sum") == 7
    assert value(service, "gpulab_sessions_ended_total", reason="server_gone") == 1
    assert value(service, "gpulab_waiting_oldest_timestamp_seconds", flavor="whole") is None
    assert value(service, "gpulab_gpus_by_state", state="full") == 2
    assert value(service, "gpulab_gpus_occupied") == 2
    assert desk.books.check() == []
    assert lease != again.lease.id


def test_who_runs_beyond_the_end_is_overdue_and_counted(service: ApiDesk) -> None:
    desk = service.books
    _, ref = desk.run("emeka", "whole")
    desk.clock.set(desk.clock.now() + timedelta(hours=1))
    desk.tick()
    assert value(service, "gpulab_sessions_overdue") == 0
    desk.clock.set(desk.clock.now() + timedelta(seconds=60))
    assert value(service, "gpulab_sessions_overdue") == 1
    desk.finish(ref)
    ended: TickResult = desk.tick()
    assert ended.ended == 1
    assert value(service, "gpulab_sessions_overdue") == 0
    assert value(service, "gpulab_overrun_gpu_seconds_total") == 60
    assert value(service, "gpulab_enforcement_lag_seconds_count") == 1


def test_what_is_not_posted_yet_is_what_the_leases_say(service: ApiDesk) -> None:
    desk = service.books
    desk.run("ada", "quarter")
    lease_id, _ = desk.run("blaise", "whole")
    desk.run("chen", "cpu")
    desk.ask("dina", "quarter")
    desk.go(every_s=15, seconds=240)
    desk.books.stop_lease(lease_id, "person")
    desk.clock.set(desk.clock.now() + timedelta(seconds=5))
    with reading(desk.engine) as tx:
        found = [one for some in reads.all_open_leases(tx, "main").values() for one in some]
    amount = sum(one.unposted(one.observed_until or desk.clock.now()).mgpu_ms for one in found)
    assert amount > 0
    assert value(service, "gpulab_unposted_gpu_seconds") == amount / 10**6
    told = {(one.flavor, one.state): value(service, "gpulab_sessions", flavor=one.flavor,
                                           state=one.state) for one in found}  # fmt: skip
    assert told == dict(Counter((one.flavor, one.state) for one in found))


def test_sections_are_counted_apart(service: ApiDesk) -> None:
    desk = service.books
    assert details(service, "gpulab_section_gpu_seconds", section="utc", kind="given") is None
    desk.use("ada", "whole", hours=8)
    desk.run("blaise", "quarter")
    take_census(desk.books)
    told = {kind: details(service, "gpulab_section_gpu_seconds", section="utc", kind=kind)
            for kind in ("given", "used", "left", "promised", "possible")}  # fmt: skip
    assert told["given"] == 40 * 3600
    assert told["used"] == 8 * 3600
    assert told["left"] == 32 * 3600
    # The week ends in Berlin an hour earlier; its hours are promised until then too.
    assert told["promised"] == 33 * 3600
    bands = {band: details(service, "gpulab_section_scholars", section="utc", band=band)
             for band in ("none", "lt_10pct", "lt_50pct", "ok")}  # fmt: skip
    assert bands == {"none": 0, "lt_10pct": 0, "lt_50pct": 1, "ok": 3}
    assert details(service, "gpulab_section_sessions_running", section="utc") == 1
    assert value(service, "gpulab_census_timestamp_seconds") == desk.clock.now().timestamp()
    desk.use("ada", "whole", hours=1.5)
    take_census(desk.books)
    assert details(service, "gpulab_section_scholars", section="utc", band="lt_10pct") == 1


def test_a_section_that_is_gone_is_not_told_of_any_more(engine: Engine) -> None:
    desk = Desk(engine)
    take_census(desk.books)
    assert b'section="berlin"' in generate_latest(DetailMetrics(desk.books).registry)
    desk.books.lab = parse_lab(re.sub(r"  berlin:.*\n", "", LAB_YAML), "lab.yaml")
    take_census(desk.books)
    assert b'section="berlin"' not in generate_latest(DetailMetrics(desk.books).registry)


def test_more_than_a_hundred_sections_share_one_line(engine: Engine) -> None:
    more = "".join(f"  s{number}: {{time_zone: UTC, scholars: [p{number}], hours_per_week: 1}}\n"
                   for number in range(120))  # fmt: skip
    lab = parse_lab(LAB_YAML.replace("organizers:", f"{more}organizers:"), "lab.yaml")
    desk = Desk(engine, lab)
    take_census(desk.books)
    told = values(generate_latest(DetailMetrics(desk.books).registry).decode())
    sections = {dict(labels)["section"] for _, labels in told if "section" in dict(labels)}
    assert len(sections) == 101
    labels = frozenset({("section", OTHERS), ("band", "ok")})
    assert told["gpulab_section_scholars", labels] == 22


def test_deeds_are_counted_once_each(service: ApiDesk) -> None:
    by, desk = By(actor="olga", request_id=""), service.books
    for _ in range(3):
        desk.office.grant(uuid4(), "ada", hours("1"), reason="demo", by=by)
        take_census(desk.books)
    take_census(desk.books)
    assert value(service, "gpulab_deeds_total", action="grant") == 3
    assert value(service, "gpulab_deeds_total", action="refund") == 0


def test_a_session_is_joined_to_its_gpu_by_an_id(service: ApiDesk) -> None:
    lease, _ = service.books.run("ada", "quarter")
    text = service.get("/metrics/details", None).text
    found = re.search(r"^gpulab_session_gpu_info\{(.*)\} 1.0$", text, re.MULTILINE)
    assert found is not None
    labels = dict(re.findall(r'(\w+)="(.*?)"', found[1]))
    assert labels == {"session": str(lease), "flavor": "quarter", "section": "utc",
                      "gpu": labels["gpu"], "does": "unknown"}  # fmt: skip
    assert details(service, "gpulab_gpu_occupied_ratio", gpu=labels["gpu"]) == 0.25


def test_a_check_leaves_what_it_found(service: ApiDesk) -> None:
    assert value(service, "gpulab_check_timestamp_seconds") is None
    service.books.books.note_check({"books": 0, "trail": 2})
    assert value(service, "gpulab_check_timestamp_seconds") is not None
    assert value(service, "gpulab_check_faults", part="books") == 0
    assert value(service, "gpulab_check_faults", part="trail") == 2


def test_no_name_is_told_and_promtool_has_nothing_to_say(service: ApiDesk, tmp_path: Path) -> None:
    desk = service.books
    desk.run("ada", "quarter")
    desk.ask("blaise", "quarter")
    take_census(desk.books)
    for path in ("/metrics", "/metrics/details"):
        text = service.get(path, None).text
        labels = set(re.findall(r'="(.*?)"', text))
        assert not labels & set(PEOPLE), path
        _is_clean(text, tmp_path)


def _is_clean(text: str, folder: Path) -> None:
    path = folder / "metrics.txt"
    path.write_text(text)
    done = run("sh", "-c", f'"$0" check metrics <"{path}"', tool("promtool"))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_bad_labels_are_read_back_as_they_are(tmp_path: Path) -> None:
    names = ['a "quoted" one', "two\nlines", "Прометей 🔥", "back\\slash", "{}=,"]
    figures = SectionFigures(amounts={"given": 10**6}, scholars={"ok": 1})
    families = list(section_families(dict.fromkeys(names, figures)))

    class Some:
        def collect(self) -> list[object]:
            return list(families)

    shown = generate_latest(Some()).decode()  # type: ignore[arg-type]
    told = {dict(labels)["section"] for _, labels in values(shown)}
    assert told == set(names)
    _is_clean(shown, tmp_path)


def test_the_people_are_told_of_only_with_the_secret(engine: Engine, tmp_path: Path) -> None:
    with open_service(engine, tmp_path) as service:
        assert service.get("/metrics/people", None).status_code == 404
    secrets_in(tmp_path / "secrets", **{SECRET: "people-secret"})
    with open_service(engine, tmp_path) as service:
        service.books.use("ada", "whole", hours=4)
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
            reply = service.client.get("/metrics/people", headers=header)
            assert reply.status_code == 404
        reply = service.client.get(
            "/metrics/people", headers={"Authorization": "Bearer people-secret"}
        )
    told = {dict(labels)["scholar"]: left for (_, labels), left in values(reply.text).items()}
    assert told[pseudonym("ada", "people-secret")] == 6 * 3600
    assert not set(told) & set(PEOPLE)
    _is_clean(reply.text, tmp_path)


def test_a_scrape_asks_the_same_however_many_accounts_there_are(engine: Engine) -> None:
    def statements(people: int) -> list[int]:
        desk = Desk(
            engine,
            parse_lab(
                LAB_YAML.replace(
                    "[emeka]", f"[{', '.join(f'p{number}' for number in range(people))}]"
                ),
                "lab.yaml",
            ),
        )
        for number in range(people):
            desk.office.grant(uuid4(), f"p{number}", hours("1"), reason="demo",
                              by=By(actor="olga", request_id=""))  # fmt: skip
        take_census(desk.books)
        found = []
        for ask in (desk.books.load, desk.books.details):
            with counted(engine) as some:
                ask()
            found.append(len(some))
        return found

    assert statements(2) == statements(20)


def test_attachments_that_are_over_are_not_counted(service: ApiDesk) -> None:
    assert value(service, "gpulab_attachments", mode="observe") == 0
    assert value(service, "gpulab_build_info", version="0.1.0") == 1
    assert set(REFUSAL_CODES) <= {
        dict(labels)["code"] for name, labels in values(service.get("/metrics", None).text)
        if name == "gpulab_requests_refused_total"
    }  # fmt: skip


def test_books_that_do_not_answer_leave_nothing_stale() -> None:
    class Silent:
        def details(self) -> None:
            raise BooksUnavailable

        load = details

    silent: Any = Silent()
    told = generate_latest(Metrics(silent).registry).decode()
    assert "gpulab_books_up 0.0" in told
    assert "gpulab_sessions{" not in told
    assert not generate_latest(DetailMetrics(silent).registry)
