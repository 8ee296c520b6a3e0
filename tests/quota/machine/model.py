"""What the books must say, in as little code as possible: whole numbers, no holds, no postings.

A container costs weight x milliseconds from its start to where it was last seen or ended. Each
week gives hours once; what is over lapses, what is owed is carried on. Nothing else is true.
"""

from dataclasses import dataclass, field

WEEK_MS = 7 * 86_400_000
# Monday 5 January 1970, 00:00.
_FIRST_MONDAY_MS = 4 * 86_400_000


@dataclass
class Run:
    """One container: what was seen of it."""

    account: str
    weight: int
    seen_until: int
    is_over: bool = False
    used: int = 0


@dataclass
class Model:
    """Accounts whose weeks start at Monday 00:00 plus `offset_ms`."""

    hours: dict[str, int]
    offset_ms: dict[str, int]
    runs: dict[str, Run] = field(default_factory=dict)
    given: dict[str, dict[int, int]] = field(default_factory=dict)
    spent: dict[str, dict[int, int]] = field(default_factory=dict)

    def week(self, who: str, at: int) -> int:
        return (at - self.offset_ms[who] - _FIRST_MONDAY_MS) // WEEK_MS

    def touch(self, who: str, at: int) -> None:
        """Give this week's hours, and those of weeks in which nobody looked, unless given."""
        self.given[who] = self._given_by(who, at)

    def _given_by(self, who: str, at: int) -> dict[int, int]:
        known, this = self.given.get(who, {}), self.week(who, at)
        missed = range(max(known, default=this) + 1, this + 1)
        return known | dict.fromkeys({*missed, this} - known.keys(), self.hours[who])

    def give(self, who: str, amount: int, at: int) -> None:
        self.touch(who, at)
        self.given[who][self.week(who, at)] += amount

    def change_hours(self, who: str, amount: int, at: int) -> None:
        """Cut or raise this week's hours; what is used is not taken back."""
        week, before = self.week(who, at), self.hours[who]
        self.hours[who] = amount
        if week in self.given.get(who, {}) and amount != before:
            left = max(0, self.balance(who, at))
            self.given[who][week] = max(amount, self.given[who][week] - left)
        self.touch(who, at)

    def see(self, ref: str, run: Run, until: int, *, is_over: bool) -> None:
        """Count a container up to an instant, each millisecond in its own week."""
        known = self.runs.setdefault(ref, run)
        known.is_over = known.is_over or is_over
        mine = self.spent.setdefault(known.account, {})
        while known.seen_until < until:
            week = self.week(known.account, known.seen_until)
            edge = (week + 1) * WEEK_MS + _FIRST_MONDAY_MS + self.offset_ms[known.account]
            cost = known.weight * (min(edge, until) - known.seen_until)
            known.used += cost
            mine[week] = mine.get(week, 0) + cost
            known.seen_until = min(edge, until)

    def balance(self, who: str, at: int) -> int:
        """Fold the weeks: what lapses is gone, what is owed goes on until a week pays it."""
        given = self._given_by(who, at)
        spent, rest = self.spent.get(who, {}), 0
        for week in sorted(given.keys() | spent.keys()):
            rest = min(rest, 0) + given.get(week, 0) - spent.get(week, 0)
        return rest
