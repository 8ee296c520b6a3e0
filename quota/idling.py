"""Idle GPUs: what sessions were seen doing goes into the books, and what follows from it.

Like `quota.service`, one transaction each, the account's lock first, no network inside.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from quota import requests
from quota.clock import ms_between
from quota.desk import Desk, open_desk_of_lease
from quota.errors import GpuIsWanted, NoSuchLease
from quota.gpu_use import SessionUse, fresh_for, is_news
from quota.lab_idle import IdleRules
from quota.news import news_of_notices
from quota.outbox import tell
from quota.reconcile import Notice, NoticeKind
from quota.service import Books
from quota.session_states import (
    RunningSession,
    SessionState,
    StoredState,
    decide,
    idle_warning,
    release_at,
    released_text,
    with_state,
)
from quota.store import session_states as rows
from quota.store import writes
from quota.store.daily import add_counts
from quota.store.engine import reading, transaction
from quota.wording import forgotten_text


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A running session and its state, None when nobody has told it."""

    session: RunningSession
    state: StoredState | None


class Idling:
    """What idle sessions mean to one hub's books."""

    def __init__(self, books: Books) -> None:
        self.books = books

    @property
    def rules(self) -> IdleRules:
        """The rules in force."""
        return self.books.lab.idle

    def running(self) -> list[OpenSession]:
        """List the sessions that run, and what they do."""
        with reading(self.books.engine) as tx:
            sessions = rows.running_sessions(tx, self.books.hub_id)
            states = rows.states_of_hub(tx, self.books.hub_id)
        return [OpenSession(session=one, state=states.get(one.lease_id)) for one in sessions]

    def note(
        self, seen: Mapping[UUID, SessionState], uses: Mapping[UUID, SessionUse] | None = None
    ) -> list[UUID]:
        """Write what sessions were seen doing, and how busy; warn and stop the idle ones.

        Returns the sessions that were told to end. What is not in `seen` is left as it is.
        """
        now = self.books.clock.now()
        with reading(self.books.engine) as tx:
            before = rows.states_of_hub(tx, self.books.hub_id)
            is_wanted = rows.is_gpu_wanted(tx, self.books.hub_id)
        after = {key: with_state(before.get(key), key, one) for key, one in seen.items()}
        due = [key for key, one in after.items()
               if decide(one, self.rules, now=now, is_wanted=is_wanted) != "nothing"]  # fmt: skip
        changed = [key for key, one in after.items() if one != before.get(key)]
        kept = {key: one.use for key, one in before.items()}
        news = {key: use for key, use in (uses or {}).items() if is_news(kept.get(key), use)}
        if changed or news:
            self._write(changed, seen, news)
        return [key for key in due if self._act(key, seen[key], is_wanted=is_wanted)]

    def keep(self, lease_id: UUID) -> StoredState:
        """Keep an idle session's GPU for a while longer; safe to repeat.

        Raises:
            NoSuchLease: nobody has it, it has no GPU, or it does not run.
            GpuIsWanted: somebody waits for a GPU.

        """
        now = self.books.clock.now()
        with transaction(self.books.engine, step="keep_gpu") as tx:
            desk = open_desk_of_lease(tx, self.books.lab, lease_id, now=now)
            lease = desk.lease(lease_id)
            if lease is None or lease.state != "active" or not lease.occupies:
                raise NoSuchLease("There is no such session with a GPU.")
            if rows.is_gpu_wanted(tx, self.books.hub_id):
                raise GpuIsWanted(
                    "Somebody waits for a GPU, so it can only be kept by using it. Run something "
                    "on it, or save your work."
                )
            before = rows.states_of(tx, [lease_id], lock=True).get(lease_id)
            start = before or StoredState(lease_id=lease_id, state="unknown", since=now)
            until = now + timedelta(minutes=self.rules.keep_min)
            # A warning from before the answer does not hold after it.
            after = replace(start, kept_until=until, warned_at=None)
            rows.save_state(tx, before, after)
        return after.as_of(now, fresh_for=fresh_for(self.books.lab.policy.tick_s))

    def tell_forgotten(self, lease_id: UUID) -> None:
        """Tell the holder of a session that the hub has lost it, and how to end it."""
        now = self.books.clock.now()
        with transaction(self.books.engine, step="tell_forgotten") as tx:
            desk = open_desk_of_lease(tx, self.books.lab, lease_id, now=now)
            lease = desk.lease(lease_id)
            if lease is not None and lease.state == "active":
                _tell(tx, desk, lease_id, forgotten_text(lease), now, kind="warning")

    def _write(
        self, lease_ids: Sequence[UUID], seen: Mapping[UUID, SessionState],
        news: Mapping[UUID, SessionUse],
    ) -> None:  # fmt: skip
        with transaction(self.books.engine, step="note_states") as tx:
            # Read again, locked: somebody may have asked to keep a GPU a moment ago.
            before = rows.states_of(tx, lease_ids, lock=True)
            after = {key: with_state(before.get(key), key, seen[key]) for key in lease_ids}
            for key in lease_ids:
                rows.save_state(tx, before.get(key), after[key])
            rows.save_uses(tx, news)
            if lease_ids:
                over = {key: after[key].since for key, one in before.items() if one.is_idle}
                self._count_idle(tx, before, over | rows.ended_at(tx))
                rows.forget_ended(tx)

    def _count_idle(
        self, tx: Connection, states: Mapping[UUID, StoredState], until: Mapping[UUID, datetime]
    ) -> None:
        """Add to the day's count what GPUs stood idle for, now that it is over."""
        known = {**states, **rows.states_of(tx, [key for key in until if key not in states])}
        counts: Counter[str] = Counter()
        for key, (account, share_mgpu) in rows.holders_of(tx, list(until)).items():
            if known[key].is_idle and until[key] > known[key].since:
                section = self.books.lab.section_name_of(account) or ""
                counts[section] += share_mgpu * ms_between(known[key].since, until[key])
        add_counts(tx, self.books.hub_id, self.books.clock.now(), "idle_mgpu_ms", counts)

    # -- one session under its account's lock --------------------------------------------------

    def _act(self, lease_id: UUID, seen: SessionState, *, is_wanted: bool) -> bool:
        """Warn or stop one idle session; tell whether it was told to end."""
        now = self.books.clock.now()
        with transaction(self.books.engine, step="release_gpu") as tx:
            desk = open_desk_of_lease(tx, self.books.lab, lease_id, now=now)
            lease = desk.lease(lease_id)
            before = rows.states_of(tx, [lease_id], lock=True).get(lease_id)
            after = with_state(before, lease_id, seen)
            decision = decide(after, self.rules, now=now, is_wanted=is_wanted)
            # Asked again under the lock: it may have ended, or been kept, a moment ago.
            if lease is None or lease.state != "active" or decision == "nothing":
                return False
            if decision == "warn":
                after = replace(after, warned_at=now)
                text = _warning(after, self.rules, now, is_wanted=is_wanted)
            else:
                text = released_text(lease.flavor, after, now)
                requests.stop(desk, lease_id, "idle")
            rows.save_state(tx, before, after)
            kind: NoticeKind = "stopped" if decision == "release" else "idle"
            _tell(tx, desk, lease_id, text, now, kind=kind)
            return decision == "release"


def _warning(state: StoredState, rules: IdleRules, now: datetime, *, is_wanted: bool) -> str:
    at = release_at(state, rules, is_wanted=is_wanted)
    assert at is not None, "it was decided on"
    # Up, because at the tick before the minute is full nobody is interested in seconds.
    left_min = -(-ms_between(now, at) // 60_000)
    return idle_warning(state, rules, left_min, is_wanted=is_wanted)


def _tell(
    tx: Connection, desk: Desk, lease_id: UUID, text: str, now: datetime, *, kind: NoticeKind
) -> None:
    notice = Notice(account_id=desk.account.id, lease_id=lease_id, text=text, at=now, kind=kind)
    writes.save_notices(tx, [notice])
    news = news_of_notices(desk.account.name, [notice], desk.lab)
    tell(tx, desk.lab, desk.account.hub_id, news)
