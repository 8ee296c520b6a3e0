"""Taking letters out of the outbox, and noting what became of them.

A letter that is taken out is held for a while, and comes up again if the sender dies meanwhile. So
each is sent at least once, and nearly always once. See docs/decisions/0017-notifications.md.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection

from quota.entitlement import current_week
from quota.help_news import UNCLAIMED_AFTER, unclaimed_news
from quota.lab import Lab
from quota.news import report_news, week_news
from quota.outbox import tell
from quota.service import Books
from quota.store import help as help_rows
from quota.store import outbox as rows
from quota.store.engine import reading, transaction
from quota.telling import KINDS, Letter, News, send_at
from quota.week_report import just_over, report_of

LetterEnd = Literal["sent", "given_up", "stale", "no_channel", "no_address"]

# After each failed try; then it is given up. Together longer than any outage of a chat service
# that people would still want to hear about afterwards.
RETRY_AFTER_S = (30, 120, 480, 1800, 7200)
MOST_ATTEMPTS = len(RETRY_AFTER_S) + 1

# Longer than the slowest pass of the sender: before that nobody else takes a letter up again.
HELD_FOR = timedelta(minutes=5)
_MOST_AT_ONCE = 200

# Longer than a week, within which the same occasion may come again.
_KEPT_FOR = timedelta(days=35)
_FORGETS_EVERY = timedelta(hours=1)
# Who joins a channel on Thursday does not want to hear of Monday.
_WEEK_IS_NEWS_FOR = timedelta(hours=24)


@dataclass(slots=True, kw_only=True)
class Claim:
    """Letters to be sent now, and those that are not sent any more, with the reason."""

    letters: list[Letter] = field(default_factory=list)
    ended: list[tuple[Letter, LetterEnd]] = field(default_factory=list)


class Outbox:
    """The outbox of one hub's books, as the sender sees it."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.waited_s = 0.0
        """At the last look: how long the oldest letter has waited that could have been sent."""
        self._weeks_told: set[tuple[str, datetime]] = set()
        self._hands_told: set[str] = set()
        self._reports_told: set[tuple[str, datetime]] = set()
        self._forgot_at: datetime | None = None

    def claim(self) -> Claim:
        """Take out what is due; whoever takes it has `HELD_FOR` to say what became of it."""
        now, claim = self.books.clock.now(), Claim()
        with reading(self.books.engine) as tx:
            since = rows.oldest_due(tx, self.books.hub_id, now)
            weeks = self._weeks_begun(tx, now)
            hands = self._hands_unclaimed(tx, now)
            readers = rows.choosers_of(tx, self.books.hub_id, "week_report")
        reports = self._week_over(readers, now)
        self.waited_s = 0.0 if since is None else (now - since).total_seconds()
        if since is None and not weeks and not hands and not reports:
            return claim  # nearly always: no writer's lock for that
        with transaction(self.books.engine, step="letters_claimed") as tx:
            tell(tx, self.books.lab, self.books.hub_id, [*weeks, *hands, *reports])
            for letter in rows.due_letters(tx, self.books.hub_id, now, most=_MOST_AT_ONCE):
                end = _end_of(letter, self.books.lab, now)
                if end is None:
                    claim.letters.append(letter)
                else:
                    claim.ended.append((letter, end))
            rows.try_later(tx, claim.letters, now + HELD_FOR, attempts=1)
            for end in {end for _, end in claim.ended}:
                rows.finish(tx, [one for one, why in claim.ended if why == end], end, now)
            if self._forgot_at is None or now - self._forgot_at > _FORGETS_EVERY:
                rows.forget_letters(tx, now - _KEPT_FOR)
                self._forgot_at = now
        self._weeks_told |= {(one.person, one.at) for one in weeks}
        self._hands_told |= {one.occasion for one in hands}
        self._reports_told |= {(one.person, one.at) for one in reports}
        return claim

    def settle(
        self, *, sent: Sequence[Letter] = (), failed: Sequence[Letter] = (),
        untried: Sequence[Letter] = (), unreachable: Sequence[Letter] = (),
    ) -> list[Letter]:  # fmt: skip
        """Note what became of claimed letters; return those that were given up."""
        now = self.books.clock.now()
        tries = [(one, next_try(one, self.books.lab, now)) for one in failed]
        given_up = [one for one, at in tries if at is None]
        with transaction(self.books.engine, step="letters_settled") as tx:
            rows.finish(tx, sent, "sent", now)
            rows.finish(tx, given_up, "given_up", now)
            rows.finish(tx, unreachable, "no_address", now)
            for one, at in tries:
                if at is not None:
                    rows.try_later(tx, [one], at, attempts=0)
            soon = now + timedelta(seconds=RETRY_AFTER_S[0])
            rows.try_later(tx, untried, soon, attempts=-1)
        return given_up

    def _weeks_begun(self, tx: Connection, now: datetime) -> list[News]:
        """Tell whose week has begun that want to hear it: no one's deed is there to tell of it."""
        lab = self.books.lab
        begun: dict[tuple[str, datetime], News] = {}
        for person in rows.choosers_of(tx, self.books.hub_id, "week_reset"):
            section = lab.section_of(person)
            week = current_week(lab, section, now)
            if section is None or week is None or now - week.starts_at > _WEEK_IS_NEWS_FOR:
                continue
            begun[person, week.starts_at] = week_news(person, section, week, lab)
        new = sorted(begun.keys() - self._weeks_told)
        self._weeks_told &= begun.keys()
        return [begun[key] for key in new]

    def _week_over(self, readers: Collection[str], now: datetime) -> list[News]:
        """Report a week that is over to the organizers who want to hear of it; once each."""
        over = just_over(self.books.lab, now) if readers else None
        if over is None:
            return []
        ended_at, within = over
        new = sorted(one for one in readers if (one, ended_at) not in self._reports_told)
        if not new:
            return []
        report = report_of(self.books, at=within)
        return [report_news(one, report.title, report.lead, ended_at) for one in new]

    def _hands_unclaimed(self, tx: Connection, now: datetime) -> list[News]:
        """Tell which hands have been up for long; each once, whoever has told of it before."""
        lab = self.books.lab
        if not lab.channels:
            return []
        waiting = help_rows.waiting_requests(tx, self.books.hub_id)
        late = [one for name, request in waiting if now - request.raised_at >= UNCLAIMED_AFTER
                for one in unclaimed_news(lab, name, request)]  # fmt: skip
        new = [one for one in late if one.occasion not in self._hands_told]
        self._hands_told &= {one.occasion for one in late}
        return new


def next_try(letter: Letter, lab: Lab, now: datetime) -> datetime | None:
    """Return when a letter is tried again that was claimed and failed; None when never.

    `letter` is as it was before the claim: its tries do not count the one that failed.
    """
    if letter.attempts >= len(RETRY_AFTER_S):
        return None
    at = now + timedelta(seconds=RETRY_AFTER_S[letter.attempts])
    at = send_at(lab, letter.kind, letter.person, at)
    return at if at < letter.stale_at else None


def _end_of(letter: Letter, lab: Lab, now: datetime) -> LetterEnd | None:
    """Tell why a due letter is not sent any more; None if it is."""
    if letter.kind not in KINDS or letter.channel not in lab.channels:
        return "no_channel"
    if now >= letter.stale_at:
        return "stale"
    return "given_up" if letter.attempts >= MOST_ATTEMPTS else None
