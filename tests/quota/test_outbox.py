"""Notifications in the books: written with what happened, once, for whoever chose them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, select

from quota.audit import By
from quota.bulk import GrantRow, plan_grants
from quota.clearing import keep_reservations
from quota.errors import BadChoice, StaleEdit
from quota.helping import Helping
from quota.idling import Idling
from quota.lab_channels import QuietHours
from quota.lab_file import LabFileError
from quota.notice_choices import choices_of, choose
from quota.outbox import tell
from quota.reserving_ahead import Reserving
from quota.sending import MOST_ATTEMPTS, RETRY_AFTER_S, Outbox
from quota.session_states import SessionState
from quota.store import wire
from quota.store.engine import reading, transaction
from quota.store.tables import outbox
from quota.telling import News, awake_at
from tests.quota.books import NOON, Desk, hours, lab_with
from tests.quota.memory import empty

CHANNELS = """
channels:
  mail: {title: Mail, url_file: mail, chosen_by: [scholars, tas, organizers], to_person: true,
         default: true, email_domain: example.org}
  room: {title: Room, url_file: room, chosen_by: [scholars, organizers]}
"""
QUIET = 'quiet_hours: {starts: "22:00", ends: "07:00"}\n'
OLGA = By(actor="olga")


@pytest.fixture
def told(engine: Engine) -> Iterator[Desk]:
    desk = Desk(engine, lab_with(CHANNELS))
    yield desk
    desk.check()


def letters(desk: Desk, *kinds: str) -> list[tuple[str, str, str]]:
    """Tell kind, channel and reader of what is in the outbox, in its order."""
    with reading(desk.engine) as tx:
        rows = tx.execute(select(outbox).order_by(outbox.c.at, outbox.c.occasion)).mappings()
        return [(row["kind"], row["channel"], row["person"]) for row in rows
                if not kinds or row["kind"] in kinds]  # fmt: skip


def states(desk: Desk) -> list[str]:
    with reading(desk.engine) as tx:
        return list(tx.execute(select(outbox.c.state).order_by(outbox.c.at)).scalars())


def chooses(desk: Desk, person: str, **kinds: str) -> None:
    """Let somebody choose channels, written between spaces."""
    tag = choices_of(desk.books, person).tag
    choose(desk.books, person, {kind: names.split() for kind, names in kinds.items()}, tag=tag)


def news(text: str = "what happened", **more: object) -> News:
    values = {"kind": "stopped", "person": "ada", "occasion": f"x:{uuid4()}", "text": text,
              "at": NOON} | more  # fmt: skip
    return News(**values)  # type: ignore[arg-type]


def put(desk: Desk, *some: News) -> None:
    with transaction(desk.engine) as tx:
        tell(tx, desk.books.lab, "main", some)


# -- where news arises -------------------------------------------------------------------------


def test_a_session_from_start_to_stop_tells_each_thing_once(told: Desk) -> None:
    chooses(told, "emeka", minutes_left="mail", half_used="mail room", most_used="room")
    told.run("emeka")
    told.go(every_s=300, minutes=65)
    assert sorted(letters(told)) == [
        ("half_used", "mail", "emeka"), ("half_used", "room", ""),
        ("minutes_left", "mail", "emeka"), ("minutes_left", "mail", "emeka"),
        ("most_used", "room", ""), ("stopped", "mail", "emeka"),
    ]  # fmt: skip
    with reading(told.engine) as tx:
        room = tx.execute(select(outbox.c.text).where(outbox.c.channel == "room")).scalars()
        assert all(text.startswith("emeka: ") for text in room), "a room has to know of whom"


def test_without_a_choice_only_the_stop_is_told_and_only_where_the_lab_says(told: Desk) -> None:
    told.run("emeka")
    told.go(every_s=300, minutes=65)
    assert letters(told) == [("stopped", "mail", "emeka")]
    chooses(told, "emeka", stopped="")
    told.office.grant(uuid4(), "emeka", hours("0.5"), by=OLGA, reason="once more")
    told.run("emeka")
    told.go(every_s=300, minutes=35)
    assert len(letters(told)) == 1, "who chose no channel is told on none"


def test_nothing_is_written_where_the_lab_has_no_channels(desk: Desk) -> None:
    desk.run("emeka")
    desk.go(every_s=300, minutes=65)
    assert letters(desk) == []


def test_what_is_rolled_back_is_not_told(told: Desk) -> None:
    def tell_and_fail() -> None:
        with transaction(told.engine) as tx:
            tell(tx, told.books.lab, "main", [news()])
            raise LookupError

    with pytest.raises(LookupError):
        tell_and_fail()
    assert letters(told) == []
    put(told, news())
    assert len(letters(told)) == 1


def test_an_occasion_is_told_once_however_often_it_comes(told: Desk) -> None:
    one = news()
    put(told, one, one)
    put(told, one)
    assert len(letters(told)) == 1


def test_what_people_give_ask_and_answer_is_told(told: Desk) -> None:
    told.follow(told.lab.model_copy(update={"organizers": ("olga", "omar")}))
    for who in ("olga", "omar"):
        chooses(told, who, hours_request="room", bulk_result="mail")
    for who in ("ada", "blaise"):
        chooses(told, who, grant_given="mail", request_decided="mail")
    told.office.grant(uuid4(), "ada", hours("1"), by=OLGA, reason="project")
    asked = uuid4()
    told.office.ask(asked, "ada", hours("2"), "a second run")
    told.office.answer(asked, hours("1"), by=OLGA, text="half of it")
    plan = plan_grants(uuid4(), [GrantRow(line=1, account="blaise", hours="1", reason="x",
                                          until=NOON + timedelta(days=1))],
                       told.books.lab, NOON)  # fmt: skip
    for _ in range(2):
        told.office.grant_many(plan, by=OLGA)
    assert sorted(letters(told)) == [
        ("bulk_result", "mail", "olga"), ("bulk_result", "mail", "omar"),
        ("grant_given", "mail", "ada"), ("grant_given", "mail", "blaise"),
        ("hours_request", "room", ""),  # a room hears it once, however many have chosen it
        ("request_decided", "mail", "ada"),
    ]  # fmt: skip


def test_a_turn_an_idle_gpu_and_an_organizers_stop_are_told(told: Desk) -> None:
    chooses(told, "chen", your_turn="mail")
    chooses(told, "ada", idle_warning="mail", stopped="mail")
    lease_id, ref = told.run("ada")
    told.run("blaise")
    waiting = told.ask("chen", present=False)
    assert waiting.lease.state == "waiting"
    since = told.clock.now() - timedelta(minutes=25)
    Idling(told.books).note({lease_id: SessionState(state="empty", since=since)})
    told.books.stop_lease(lease_id, "organizer")
    told.books.stop_lease(lease_id, "organizer")
    told.finish(ref)
    told.tick()
    told.ask("chen", lease_id=waiting.lease.id, present=False)
    told.ask("chen", lease_id=waiting.lease.id, present=False)
    assert sorted(letters(told)) == [
        ("idle_warning", "mail", "ada"), ("stopped", "mail", "ada"), ("your_turn", "mail", "chen"),
    ]  # fmt: skip


def test_a_reserved_time_that_begins_and_one_given_back_are_told_once(told: Desk) -> None:
    told.follow(lab_with(f"reservations: {{most_open: 1}}\n{CHANNELS}"))
    chooses(told, "ada", reservation_begins="mail", reservation_over="room")
    Reserving(told.books).reserve(
        uuid4(), "ada", flavor="whole", starts_at=NOON + timedelta(hours=2), minutes=60,
        by=By(actor="ada"),
    )  # fmt: skip
    for minutes in (119, 1, 1, 15, 1):
        told.clock.advance(timedelta(minutes=minutes))
        keep_reservations(told.books)
    assert letters(told) == [
        ("reservation_begins", "mail", "ada"), ("reservation_over", "room", ""),
    ]  # fmt: skip


def test_a_ta_who_comes_and_goes_is_told(told: Desk) -> None:
    chooses(told, "ada", attached="mail", detached="mail")
    told.run("ada")
    one = uuid4()
    told.office.attach(one, "ada", server_name="", mode="observe", minutes=10,
                       by=By(actor="tomas"), reason="asked")  # fmt: skip
    told.go(minutes=11, every_s=60)
    assert letters(told) == [("attached", "mail", "ada"), ("detached", "mail", "ada")]


def test_a_new_week_is_told_to_who_wants_it_once(told: Desk) -> None:
    chooses(told, "ada", week_reset="mail")
    sender = Outbox(told.books)
    told.at("2026-11-29 23:59")
    sender.claim()
    assert letters(told) == []
    told.at("2026-11-30 00:00")
    claims = [one.claim() for one in (sender, sender, Outbox(told.books))]
    assert [len(one.letters) for one in claims] == [1, 0, 0]
    assert letters(told) == [("week_reset", "mail", "ada")]
    chooses(told, "blaise", week_reset="mail")
    told.at("2026-12-03 00:00")
    sender.claim()
    assert len(letters(told)) == 1, "on Thursday it is no news any more"


@pytest.fixture
def server(postgres_engine: Engine) -> Iterator[Engine]:
    yield postgres_engine
    empty(postgres_engine)


@pytest.mark.postgres
def test_an_admission_waits_for_the_database_as_often_as_without_channels(
    server: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(server, lab_with(CHANNELS, sessions_per_scholar=2))
    desk.ask("ada", "quarter")
    waits: list[object] = []
    wait: Callable[..., object] = wire.BooksConnection.wait

    def counted(self: wire.BooksConnection, *given: object, **named: object) -> object:
        waits.append(given)
        return wait(self, *given, **named)

    monkeypatch.setattr(wire.BooksConnection, "wait", counted)
    assert desk.ask("ada", "quarter", server="second").lease.state == "held"
    assert len(waits) == 2


# -- choices -----------------------------------------------------------------------------------


def test_people_choose_among_what_is_theirs(told: Desk) -> None:
    mine = choices_of(told.books, "ada")
    assert [one.name for one in mine.channels] == ["mail", "room"]
    assert mine.chosen["stopped"] == ("mail",)
    assert mine.chosen["half_used"] == ()
    assert "help_raised" not in mine.chosen
    assert {"help_raised", "help_unclaimed"} == set(choices_of(told.books, "tomas").chosen)
    wrongs: list[dict[str, list[str]]] = [
        {"stopped": ["pager"]}, {"help_raised": ["mail"]}, {"gossip": []},
        {"stopped": ["json://127.0.0.1/"]},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(BadChoice):
            choose(told.books, "ada", wrong, tag=mine.tag)
    with pytest.raises(BadChoice):
        chooses(told, "tomas", help_raised="room")
    after = choose(told.books, "ada", {"stopped": ["room", "room"]}, tag=mine.tag)
    assert after.chosen["stopped"] == ("room",)
    assert choose(told.books, "ada", {"stopped": ["room"]}, tag=mine.tag) == after, "a repeat"
    with pytest.raises(StaleEdit):
        choose(told.books, "ada", {"stopped": []}, tag=mine.tag)
    assert choose(told.books, "ada", {}, tag=after.tag).chosen["stopped"] == ("mail",)


def test_a_channel_that_is_gone_or_no_longer_mine_gets_nothing(told: Desk) -> None:
    chooses(told, "ada", stopped="mail room")
    put(told, news())
    told.follow(lab_with(CHANNELS.replace("room: {", "other: {")))
    put(told, news())
    assert sorted(letters(told)) == [("stopped", "mail", "ada")] * 2 + [("stopped", "room", "")]
    claim = Outbox(told.books).claim()
    assert [one.channel for one in claim.letters] == ["mail", "mail"]
    assert [(one.channel, why) for one, why in claim.ended] == [("room", "no_channel")]
    assert sorted(states(told)) == ["no_channel", "waiting", "waiting"]


# -- sending -----------------------------------------------------------------------------------


def test_a_letter_is_held_by_one_sender_and_comes_up_again_if_it_dies(told: Desk) -> None:
    put(told, news())
    first, second = Outbox(told.books), Outbox(told.books)
    assert len(first.claim().letters) == 1
    assert second.claim().letters == []
    told.clock.advance(timedelta(minutes=4, seconds=59))
    assert second.claim().letters == []
    told.clock.advance(timedelta(seconds=1))
    again = second.claim().letters
    assert [one.attempts for one in again] == [1], "the try of the dead one counts"
    second.settle(sent=again)
    told.clock.advance(timedelta(minutes=6))
    assert first.claim().letters == []
    assert states(told) == ["sent"]


def test_tries_come_later_and_later_and_end(told: Desk) -> None:
    put(told, news(lasts=timedelta(days=2)))
    sender = Outbox(told.books)
    for number, after_s in enumerate((0, *RETRY_AFTER_S), start=1):
        if after_s:
            told.clock.advance(timedelta(seconds=after_s - 1))
            assert sender.claim().letters == []
            told.clock.advance(timedelta(seconds=1))
        given_up = sender.settle(failed=sender.claim().letters)
        assert len(given_up) == (number == MOST_ATTEMPTS)
    assert states(told) == ["given_up"]


def test_what_nobody_wants_to_read_any_more_is_not_sent(told: Desk) -> None:
    put(told, news(lasts=timedelta(minutes=5)), news(lasts=timedelta(minutes=6)))
    sender = Outbox(told.books)
    told.clock.advance(timedelta(minutes=5))
    claim = sender.claim()
    assert (len(claim.letters), [why for _, why in claim.ended]) == (1, ["stale"])
    assert sender.waited_s == 300
    told.clock.advance(timedelta(seconds=45))
    assert sender.settle(failed=claim.letters) == claim.letters, "the next try would be too late"
    assert sorted(states(told)) == ["given_up", "stale"]


def test_what_was_put_back_costs_no_try(told: Desk) -> None:
    put(told, news())
    sender = Outbox(told.books)
    sender.settle(untried=sender.claim().letters)
    assert sender.claim().letters == []
    told.clock.advance(timedelta(seconds=30))
    assert [one.attempts for one in sender.claim().letters] == [0]


def test_done_letters_are_forgotten_after_five_weeks(told: Desk) -> None:
    put(told, news())
    sender = Outbox(told.books)
    sender.settle(sent=sender.claim().letters)
    told.clock.advance(timedelta(days=36))
    put(told, news(at=told.clock.now()))
    sender.claim()
    assert states(told) == ["waiting"]


# -- quiet hours -------------------------------------------------------------------------------


def test_in_quiet_hours_only_what_is_urgent_goes_out(engine: Engine) -> None:
    desk = Desk(engine, lab_with(CHANNELS + QUIET))
    desk.at("2026-11-25 23:00")
    chooses(desk, "ada", half_used="mail", stopped="mail")
    put(desk, news(at=desk.clock.now()), news(kind="half_used", at=desk.clock.now()))
    sender = Outbox(desk.books)
    assert [one.kind for one in sender.claim().letters] == ["stopped"]
    desk.at("2026-11-26 07:00")
    late = [one for one in sender.claim().letters if one.kind == "half_used"]
    assert len(late) == 1
    desk.at("2026-11-26 21:59")
    sender.settle(failed=late)
    desk.at("2026-11-27 06:59")
    assert "half_used" not in [one.kind for one in sender.claim().letters]


@pytest.mark.parametrize(
    ("zone", "quiet", "at", "awake"),
    [
        ("UTC", ("22:00", "07:00"), "2026-11-25 21:59", "2026-11-25 21:59"),
        ("UTC", ("22:00", "07:00"), "2026-11-25 22:00", "2026-11-26 07:00"),
        ("UTC", ("22:00", "07:00"), "2026-11-26 06:59", "2026-11-26 07:00"),
        ("UTC", ("13:00", "15:00"), "2026-11-26 13:00", "2026-11-26 15:00"),
        ("UTC", ("22:00", "24:00"), "2026-11-26 23:30", "2026-11-27 00:00"),
        # The clocks go forward in the night, and back: 07:00 is an hour nearer, and farther.
        ("Europe/Berlin", ("22:00", "07:00"), "2027-03-27 22:30", "2027-03-28 05:00"),
        ("Europe/Berlin", ("22:00", "07:00"), "2026-10-24 22:30", "2026-10-25 06:00"),
        # The end is skipped by the clocks, and comes twice.
        ("Europe/Berlin", ("22:00", "02:30"), "2027-03-28 00:30", "2027-03-28 01:00"),
        ("Europe/Berlin", ("22:00", "02:30"), "2026-10-25 00:15", "2026-10-25 00:30"),
        ("Europe/Berlin", ("22:00", "02:30"), "2026-10-25 01:15", "2026-10-25 01:30"),
        ("Australia/Lord_Howe", ("22:00", "07:00"), "2027-04-03 14:00", "2027-04-03 20:30"),
    ],
)  # fmt: skip
def test_quiet_hours_end_on_the_clocks_of_the_zone(
    zone: str, quiet: tuple[str, str], at: str, awake: str
) -> None:
    rule = QuietHours.model_validate({"starts": quiet[0], "ends": quiet[1]})
    asked, expected = (datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (at, awake))
    assert awake_at(rule, ZoneInfo(zone), asked) == expected


# -- lab.yaml ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("room: {url_file: ../x, chosen_by: [tas]}", "channels.room.url_file: '../x'"),
        ("room: {url_file: x, chosen_by: [everybody]}", "channels.room.chosen_by#1"),
        ("room: {url_file: x, chosen_by: []}", "channels.room.chosen_by"),
        ("room: {url_file: x, chosen_by: [tas], default: true}", "everybody whose session"),
        ("room: {url_file: x, chosen_by: [tas], email_domain: a.org}", "no address of a person"),
        ("m: {url_file: x, chosen_by: [tas], to_person: true, email_domain: a b}", "mail domain"),
        ("room: {url: 'json://secret@host', chosen_by: [tas], url_file: x}", "channels.room.url"),
    ],
)
def test_a_channel_that_makes_no_sense_is_named_with_its_line(wrong: str, words: str) -> None:
    with pytest.raises(LabFileError) as refused:
        lab_with(f"channels:\n  {wrong}\n")
    assert words in str(refused.value)
    assert "lab.yaml:" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_quiet_hours_that_never_end_are_refused() -> None:
    with pytest.raises(LabFileError, match="same time"):
        lab_with('quiet_hours: {starts: "00:00", ends: "24:00"}\n')


def test_a_mail_address_never_leaves_the_domain() -> None:
    mail = lab_with(CHANNELS).channels["mail"]
    assert mail.email_of("ada") == "ada@example.org"
    assert mail.email_of("ada@example.org") == "ada@example.org"
    assert mail.email_of("ada@evil.org") is mail.email_of("@example.org") is None


def test_a_raised_hand_reaches_the_tas_again_after_ten_minutes_and_its_owner_once_taken(
    told: Desk,
) -> None:
    helping, box, ada = Helping(told.books), Outbox(told.books), By(actor="ada")
    chooses(told, "tomas", help_raised="mail", help_unclaimed="mail")
    chooses(told, "ada", help_claimed="mail")
    ids = uuid4(), uuid4()
    helping.raise_hand(ids[0], "ada", message="it @channel fails", path="a.ipynb", server_name="",
                       by=ada)  # fmt: skip
    assert letters(told) == [("help_raised", "mail", "tomas")]
    told.clock.advance(timedelta(minutes=9, seconds=59))
    box.claim()
    assert letters(told, "help_unclaimed") == []
    told.clock.advance(timedelta(seconds=1))
    for sender in (box, box, Outbox(told.books)):
        sender.claim()
    assert letters(told, "help_unclaimed") == [("help_unclaimed", "mail", "tomas")]
    helping.claim(ids[0], by=By(actor="tomas"))
    helping.claim(ids[0], by=By(actor="tomas"))
    assert letters(told, "help_claimed") == [("help_claimed", "mail", "ada")]
    helping.resolve(ids[0], "done", by=By(actor="tomas"))
    helping.raise_hand(ids[1], "ada", message="more", path="", server_name="", by=ada)
    told.clock.advance(timedelta(minutes=11))
    helping.withdraw(ids[1], by=ada)
    box.claim()
    assert letters(told, "help_unclaimed") == [("help_unclaimed", "mail", "tomas")]
