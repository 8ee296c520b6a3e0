"""What the command line prints of accounts and findings; pure."""

from collections.abc import Iterable

from api.doctor.findings import Finding
from api.printing import Part, panel, table
from quota.explanation import Explanation
from quota.views import AccountView

_MARKS = {"ok": "ok", "warn": "warn", "fail": "FAIL"}
_CHARGES_SHOWN = 10


def account_parts(view: AccountView) -> list[Part]:
    """Show an account."""
    week = "no week is running" if view.week is None else f"until {_at(view.week.ends_at)}"
    parts: list[Part] = [
        f"{view.account}, section {view.section or '-'} ({view.time_zone}), {week}",
        "",
        table(
            ("granted", "charged", "balance", "held", "available", "debt"),
            [[one.hours_text() for one in (view.granted, view.charged, view.balance, view.held,
                                           view.available, view.debt)]],
        ),
    ]  # fmt: skip
    if view.sessions:
        parts += ["", "Sessions", table(
            ("server", "flavor", "state", "since", "charged", "ends"),
            [[one.lease.server_name or "(default)", one.lease.flavor, one.lease.state,
              "-" if one.lease.started_at is None else _at(one.lease.started_at),
              one.charged.hours_text(), "-" if one.ends_at is None else _at(one.ends_at)]
             for one in view.sessions],
        )]  # fmt: skip
    if view.charges:
        parts += ["", "Newest charges", table(
            ("from", "until", "GPU-hours", "lease"),
            [[_at(one.from_at), _at(one.until_at), one.amount.hours_text(), str(one.lease_id)]
             for one in view.charges[:_CHARGES_SHOWN]],
        )]  # fmt: skip
    return parts


def explanation_parts(found: Explanation) -> list[Part]:
    """Show why somebody has so many hours."""
    rows = [
        (one.amount.hours_text(), one.text, "" if one.ends_at is None else _at(one.ends_at),
         one.author)
        for one in found.lines
    ]  # fmt: skip
    available = found.available.hours_text()
    held = f", of which {found.held.hours_text()} are set aside" if found.held else ""
    return [
        table(("GPU-hours", "why", "until", "by"), rows, prose=["why"]),
        "",
        panel(f"{found.balance.hours_text()} GPU-hours in all{held}; available: {available}."),
    ]


def examination_parts(findings: Iterable[Finding]) -> list[Part]:
    """Show what the doctor found, each with its remedy."""
    rows = [(_MARKS[one.level], one.what, one.remedy) for one in findings]
    return [table(("", "found", "remedy"), rows, prose=["found", "remedy"])]


def _at(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
