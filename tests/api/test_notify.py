"""Sending notifications: real Apprise, real books, and a chat service on loopback."""

import io
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from sqlalchemy import Engine, select
from structlog.testing import capture_logs

from api.channels import AppriseNotifier, Delivery, Message, Notifier, masked
from api.letter_metrics import LetterMetrics
from api.messages import MOST_CHARS, compose, harmless
from api.notify import Sender
from quota.notice_choices import choices_of, choose
from quota.outbox import tell
from quota.sending import Outbox
from quota.store.engine import reading, transaction
from quota.store.tables import outbox
from quota.telling import Letter, News
from tests.api.desk import url_of
from tests.api.processes import ROOT, lab_environment
from tests.api.receiver import Receiver, receiving
from tests.quota.books import LAB_YAML, NOON, Desk, lab_with

CHANNELS = """
channels:
  direct: {title: Direct, url_file: direct, chosen_by: [scholars], to_person: true, default: true}
"""
OTHER = "  other: {title: Other, url_file: other, chosen_by: [scholars], to_person: true}\n"
CANARY = "c4nary"


@dataclass
class Post:
    """Books with channels, a sender, and who receives."""

    desk: Desk
    receiver: Receiver
    secrets: Path
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.metrics = LetterMetrics(self.registry)
        self.address("direct", self.receiver.url("{name}"))

    def address(self, file: str, url: str) -> None:
        (self.secrets / file).write_text(url + "\n")

    def sender(self, notifier: Notifier | None = None, *, within_s: float = 10) -> Sender:
        return Sender(Outbox(self.desk.books),
                      notifier or AppriseNotifier(self.secrets, within_s=within_s),
                      self.metrics)  # fmt: skip

    def put(self, *people: str, text: str = "stopped", at: datetime | None = None) -> None:
        some = [News(kind="stopped", person=who, occasion=f"x:{uuid4()}", text=text,
                     at=at or self.desk.clock.now()) for who in people]  # fmt: skip
        with transaction(self.desk.engine) as tx:
            tell(tx, self.desk.books.lab, "main", some)

    def states(self) -> list[str]:
        with reading(self.desk.engine) as tx:
            return sorted(tx.execute(select(outbox.c.state)).scalars())

    def count(self, result: str, channel: str = "direct") -> float:
        labels = {"channel": channel, "result": result}
        return self.registry.get_sample_value("gpulab_notifications_total", labels) or 0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def post(engine: Engine, receiver: Receiver, tmp_path: Path) -> Iterator[Post]:
    (tmp_path / "channels").mkdir()
    post = Post(Desk(engine, lab_with(CHANNELS + OTHER)), receiver, tmp_path / "channels")
    yield post
    post.desk.check()


def test_what_happened_arrives_where_the_person_reads_it(post: Post) -> None:
    post.desk.run("emeka")
    post.desk.go(every_s=300, minutes=65)
    post.sender().try_pass()
    assert post.receiver.paths == ["/emeka"]
    body = post.receiver.got[0][1]
    assert body["title"] == "Test lab: The session was stopped"
    assert "Your files are kept" in body["message"]
    assert post.states() == ["sent"]
    assert post.count("sent") == 1
    post.sender().try_pass()
    assert len(post.receiver.got) == 1


def test_a_sender_that_dies_before_it_can_note_it_sends_again(post: Post) -> None:
    class Dying:
        """Sends, and takes the whole program down before anybody hears of it."""

        def send(self, message: Message) -> Delivery:
            AppriseNotifier(post.secrets).send(message)
            raise SystemExit

    post.put("ada")
    with suppress(SystemExit):
        post.sender(Dying()).try_pass()
    assert (post.receiver.paths, post.states()) == (["/ada"], ["waiting"])
    post.sender().try_pass()
    assert len(post.receiver.got) == 1, "nobody knows yet that it died"
    post.desk.clock.advance(timedelta(minutes=5))
    post.sender().try_pass()
    assert (post.receiver.paths, post.states()) == (["/ada", "/ada"], ["sent"])


def test_two_senders_do_not_send_twice(post: Post) -> None:
    people = ("ada", "blaise", "chen", "dina", "emeka")
    post.put(*people)
    senders = [post.sender(), post.sender()]
    threads = [threading.Thread(target=one.try_pass) for one in senders]
    for one in threads:
        one.start()
    for one in threads:
        one.join(timeout=30)
    assert sorted(post.receiver.paths) == [f"/{who}" for who in people]
    assert post.states() == ["sent"] * 5


def test_what_failed_is_tried_again_later_and_given_up_in_the_end(post: Post) -> None:
    post.put("ada")
    post.receiver.status = 500
    sender = post.sender()
    for wait_s in (0, 29, 1, 120, 480, 1800, 7200):
        post.desk.clock.advance(timedelta(seconds=wait_s))
        with capture_logs() as logs:
            sender.try_pass()
    assert len(post.receiver.got) == 6
    assert (post.count("failed"), post.count("given_up")) == (6, 1)
    assert [one["event"] for one in logs if one.get("alarm")] == ["notification_given_up"]
    assert post.states() == ["given_up"]


def test_a_dead_channel_is_left_alone_and_holds_up_no_other(post: Post) -> None:
    people = ("ada", "blaise", "chen", "dina")
    post.address("other", post.receiver.url("other/{name}"))
    post.receiver.refused = {f"/{who}" for who in people}
    for who in people:
        tag = choices_of(post.desk.books, who).tag
        choose(post.desk.books, who, {"stopped": ["direct", "other"]}, tag=tag)
    post.put(*people)
    post.sender().try_pass()
    assert sum(path.startswith("/other/") for path in post.receiver.paths) == 4
    assert len(post.receiver.paths) == 6, "two failures are enough to know"
    with reading(post.desk.engine) as tx:
        direct = select(outbox.c.attempts).where(outbox.c.channel == "direct")
        assert sorted(tx.execute(direct).scalars()) == [0, 0, 1, 1]


def test_a_channel_without_an_address_is_an_alarm_once_and_works_when_it_has_one(
    post: Post,
) -> None:
    (post.secrets / "direct").unlink()
    post.put("ada")
    sender = post.sender()
    with capture_logs() as logs:
        for _ in range(2):
            sender.try_pass()
            post.desk.clock.advance(timedelta(seconds=30))
    alarms = [one for one in logs if one.get("alarm")]
    assert [(one["event"], one["channel"]) for one in alarms] == [("channel_unusable", "direct")]
    assert "cannot be read" in alarms[0]["why"]
    post.address("direct", post.receiver.url("{name}"))
    post.desk.clock.advance(timedelta(minutes=2))
    sender.try_pass()
    assert post.states() == ["sent"]


def test_what_waits_for_one_reader_comes_as_one_message(post: Post) -> None:
    post.put("ada", text="first", at=NOON - timedelta(hours=1))
    post.put("ada", text="second")
    post.put("blaise", text="alone")
    post.sender().try_pass()
    assert sorted(post.receiver.paths) == ["/ada", "/blaise"]
    digest = dict(post.receiver.got)["/ada"]
    assert digest["title"] == "Test lab: 2 messages"
    assert digest["message"] == "- Wed 11:00: first\n- Wed 12:00: second"


def test_metering_goes_on_while_a_channel_hangs(post: Post) -> None:
    lease_id, _ref = post.desk.run("emeka")
    post.put("ada")
    post.receiver.open.clear()
    sending = threading.Thread(target=post.sender().try_pass)
    sending.start()
    assert post.receiver.reached.wait(timeout=20)
    began = time.monotonic()
    post.desk.go(every_s=300, minutes=65)
    assert post.desk.books.lease(lease_id).lease.end_reason == "exhausted"
    assert time.monotonic() - began < 10, "13 ticks; the sender waits for ten seconds by itself"
    assert sending.is_alive()
    post.receiver.open.set()
    sending.join(timeout=20)
    assert "sent" in post.states()


def test_a_service_that_never_answers_is_waited_for_so_long_and_no_longer(
    receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "direct").write_text(receiver.url("{name}", query="?rto=30"))
    channel = lab_with(CHANNELS).channels["direct"]
    receiver.open.clear()
    began = time.monotonic()
    found = AppriseNotifier(tmp_path, within_s=0.5).send(
        Message(channel=channel, person="ada", title="t", body="b")
    )
    receiver.open.set()
    assert found.result == "failed"
    assert time.monotonic() - began < 5


# -- secrets -----------------------------------------------------------------------------------


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """All that reaches the root of logging, as in a program; pytest's own looks deeper."""
    written, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(written), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(level)


def test_p46_the_address_of_a_channel_is_seen_nowhere(
    post: Post, log: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    word = f"{CANARY}%2Fp4ss"
    secret = post.receiver.url(f"{CANARY}-path/{{name}}", login=f"{CANARY}user:{word}@",
                               query=f"?+X-Key={CANARY}head&x={CANARY}")  # fmt: skip
    post.address("direct", secret)
    post.receiver.status = 404
    post.put("ada")
    with capture_logs() as logs:
        post.sender().try_pass()
        for broken in (f"nonsense://{CANARY}", f"json://[{CANARY}", CANARY, f"slack://{CANARY}"):
            post.address("direct", f"{broken}?x={{name}}")
            post.desk.clock.advance(timedelta(hours=1))
            post.sender().try_pass()
    assert any(CANARY in path for path in post.receiver.paths), "it was used"
    with reading(post.desk.engine) as tx:
        rows = [str(dict(row)) for row in tx.execute(select(outbox)).mappings()]
    printed = capsys.readouterr()
    seen = [*rows, *map(str, logs), log.getvalue(), printed.out, printed.err,
            generate_latest(post.registry).decode()]  # fmt: skip
    assert rows
    logging.getLogger("other").debug("this is heard")
    assert "this is heard" in log.getvalue()
    assert [one for one in seen if CANARY in one] == []


def test_p46_why_something_failed_is_told_without_the_address(
    receiver: Receiver, tmp_path: Path
) -> None:
    url = receiver.url(f"{CANARY}/{{name}}", login=f"{CANARY}:{CANARY}@")
    (tmp_path / "direct").write_text(url)
    receiver.status = 403
    channel = lab_with(CHANNELS).channels["direct"]
    found = AppriseNotifier(tmp_path).send(
        Message(channel=channel, person="ada", title="t", body="b")
    )
    assert found.result == "failed"
    assert "403" in found.why
    assert CANARY not in found.why
    assert masked(f"no way to https://h/{CANARY}%20x/ada", f"json://h/{CANARY}%20x") == (
        "no way to https://h/***/ada")  # fmt: skip


@pytest.mark.parametrize(
    ("url", "rule", "words"),
    [
        ("json://h/{email}", "to_person: true", "no email_domain"),
        ("json://h/", "to_person: true", "neither {name} nor {email}"),
        ("json://h/{name}", "to_person: false", "not to_person"),
        ("json://a/, json://b/", "to_person: false", "not one Apprise URL"),
        ("json://a/\njson://b/", "to_person: false", "one line"),
        ("", "to_person: false", "one line"),
        ("x" * 5000, "to_person: false", "one line"),
    ],
)
def test_an_address_that_does_not_fit_the_channel_is_refused(
    tmp_path: Path, url: str, rule: str, words: str
) -> None:
    lab = lab_with(f"channels: {{c: {{url_file: c, chosen_by: [scholars], {rule}}}}}\n")
    (tmp_path / "c").write_text(url)
    fault = AppriseNotifier(tmp_path).fault_of(lab.channels["c"])
    assert fault is not None
    assert words in fault


def test_a_persons_name_stays_one_part_of_the_address(receiver: Receiver, tmp_path: Path) -> None:
    """Names come from the roster, which lets no such name in; this is the belt."""
    lab = lab_with(CHANNELS.replace("true, default: true", "true, email_domain: example.org"))
    channel = lab.channels["direct"]
    notifier = AppriseNotifier(tmp_path)

    def send(url: str, person: str) -> Delivery:
        (tmp_path / "direct").write_text(url)
        return notifier.send(Message(channel=channel, person=person, title="t", body="b"))

    assert send(receiver.url("x/{name}/y"), "../../a?b=c#d, json://e/").result == "sent"
    assert receiver.paths == ["/x/..%2F..%2Fa%3Fb=c%23d%2C%20json:%2F%2Fe%2F/y"]
    assert send(receiver.url("{email}"), "ada").result == "sent"
    assert receiver.paths[1] == "/ada@example.org"
    assert send(receiver.url("{email}"), "ada@evil.org").result == "no_address"


# -- texts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hostile", "is_gone"),
    [
        ("a\nTest lab: you won\r\nb", ["\n", "\r"]),
        ("@channel @here @everyone come", ["@channel", "@here", "@everyone"]),
        ("<!channel> <@U123> <#C1> <a href=x>", ["<!channel", "<@U", "<#C", "<a "]),
        ("[my work](https://evil.example)", ["]("]),
        ("\u202eevil\u202c \x00\x1b[31m", ["\u202e", "\x00", "\x1b"]),
    ],
)
def test_what_others_wrote_calls_nobody_and_hides_nothing(
    hostile: str, is_gone: list[str]
) -> None:
    shown = harmless(hostile)
    assert [one for one in is_gone if one in shown] == []
    assert harmless("ask ada@example.org at 5, a < b (c) [d] *e*") == (
        "ask ada@example.org at 5, a < b (c) [d] *e*")  # fmt: skip


def test_a_message_is_never_longer_than_any_service_takes() -> None:
    lab = lab_with(CHANNELS)
    letters = [Letter(id=uuid4(), occasion="x", kind="stopped", channel="direct", person="ada",
                      text="word @here " * 1000, at=NOON, due_at=NOON, stale_at=NOON)
               for _ in range(50)]  # fmt: skip
    for some in (letters[:1], letters):
        title, body = compose(some, lab)
        assert len(title) <= 120
        assert 0 < len(body) <= MOST_CHARS + 200
    many = [Letter(id=uuid4(), occasion="x", kind="stopped", channel="direct", person="ada",
                   text=f"number {n}", at=NOON, due_at=NOON, stale_at=NOON)
            for n in range(50)]  # fmt: skip
    assert compose(many, lab)[1].endswith("... and 30 more")


def test_hostile_words_of_ten_kilobytes_go_through_the_whole_way(post: Post) -> None:
    post.put("ada", text="@channel\n[x](http://evil)\n" * 400)
    post.sender().try_pass()
    (said,) = post.receiver.texts
    assert len(said) <= 700
    assert "\n" not in said
    assert "@channel" not in said


# -- the program -------------------------------------------------------------------------------


@pytest.mark.long
def test_the_notifier_sends_as_a_program_of_its_own(post: Post, tmp_path: Path) -> None:
    post.put("ada", at=datetime.now(NOON.tzinfo))
    environment = lab_environment(url_of(post.desk.engine), tmp_path, LAB_YAML + CHANNELS,
                                  GPULAB_SECRETS_DIR=str(post.secrets))  # fmt: skip
    environment["PYTHONWARNINGS"] = "error,ignore:'imghdr' is deprecated:DeprecationWarning"
    with (tmp_path / "log").open("wb") as log:
        program = subprocess.Popen([sys.executable, "-m", "api.notifier"], cwd=ROOT, stdout=log,
                                   stderr=subprocess.STDOUT, env=environment)  # fmt: skip
        try:
            assert post.receiver.reached.wait(timeout=60), (tmp_path / "log").read_text()
            until = time.monotonic() + 20
            while post.states() != ["sent"] and time.monotonic() < until:
                time.sleep(0.05)
            program.terminate()
            assert program.wait(timeout=20) == 0
        finally:
            program.kill()
            program.wait(timeout=10)
    assert post.states() == ["sent"]
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_text().splitlines()]
    assert events == ["notifier_started", "notifier_stopped"]
