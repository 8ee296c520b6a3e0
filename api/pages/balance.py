"""The bars of a balance: what was given, and what became of it; pure."""

from collections.abc import Iterable
from datetime import datetime

from api.pages.charts import Part
from quota.amount import GpuTime
from quota.ledger import Lot
from quota.own_hours import OwnHours

# Sources of GPU time in the order of the bar: what they are called, and their colour.
_SOURCES = (
    ("Allowance", "lab-part-allowance", ("allowance",)),
    ("Extra for due dates", "lab-part-boost", ("boost",)),
    ("Kept from earlier weeks", "lab-part-kept", ("roll_over", "absence")),
    ("Granted", "lab-part-grant", ("grant", "ta_grant", "request")),
    ("Given back", "lab-part-refund", ("refund",)),
    ("From the section", "lab-part-pool", ("pool", "help")),
)


def parts_given(lots: Iterable[Lot], *, now: datetime) -> list[Part]:
    """Return what was given and can be used now, by where it came from."""
    usable = [lot for lot in lots if lot.is_usable(now)]
    found = []
    for text, look, sources in _SOURCES:
        amount = GpuTime.total(lot.amount for lot in usable if lot.source in sources)
        if amount:
            found.append(Part(text, amount, look))
    return found


def parts_of_use(hours: OwnHours) -> list[Part]:
    """Return what became of it: used, left, and what of that is set aside."""
    parts = (
        Part("Used", hours.account.charged, "lab-part-used"),
        Part("Left, set aside for your sessions", hours.set_aside, "lab-part-held"),
        Part("Left, free", max(hours.account.available, GpuTime.ZERO), "lab-part-left"),
    )
    return [one for one in parts if one.amount]
