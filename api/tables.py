"""What the command line prints, as lines; pure."""

from collections.abc import Iterable, Sequence

from api.doctor import Finding
from quota.explanation import Explanation
from quota.views import AccountView

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
_CHARGES_SHOWN = 10


def account_lines(view: AccountView) -> list[str]:
    """Show an account."""
    week = "no week is running" if view.week is None else f"until {_at(view.week.ends_at)}"
    lines = [
        f"{view.account}, section {view.section or '-'} ({view.time_zone}), {week}",
        "",
        *table(
            ("granted", "charged", "balance", "held", "available", "debt"),
            [[one.hours_text() for one in (view.granted, view.charged, view.balance, view.held,
                                           view.available, view.debt)]],
        ),
    ]  # fmt: skip
    if view.sessions:
        lines += ["", "Sessions", *table(
            ("server", "flavor", "state", "since", "charged", "ends"),
            [[one.lease.server_name or "(default)", one.lease.flavor, one.lease.state,
              "-" if one.lease.started_at is None else _at(one.lease.started_at),
              one.charged.hours_text(), "-" if one.ends_at is None else _at(one.ends_at)]
             for one in view.sessions],
        )]  # fmt: skip
    if view.charges:
        lines += ["", "Newest charges", *table(
            ("from", "until", "GPU-hours", "lease"),
            [[_at(one.from_at), _at(one.until_at), one.amount.hours_text(), str(one.lease_id)]
             for one in view.charges[:_CHARGES_SHOWN]],
        )]  # fmt: skip
    return lines


def explanation_lines(found: Explanation) -> list[str]:
    """Show why somebody has so many hours."""
    rows = [
        (one.amount.hours_text(), one.text, "" if one.ends_at is None else _at(one.ends_at),
         one.author)
        for one in found.lines
    ]  # fmt: skip
    available = found.available.hours_text()
    held = f", of which {found.held.hours_text()} are set aside" if found.held else ""
    return [
        *table(("GPU-hours", "why", "until", "by"), rows),
        "",
        f"{found.balance.hours_text()} GPU-hours in all{held}; available: {available}.",
    ]


def examination_lines(findings: Iterable[Finding]) -> list[str]:
    """Show what the doctor found, each with its remedy."""
    lines = []
    for one in findings:
        lines.append(f"{_MARKS[one.level]}  {one.what}")
        if one.remedy:
            lines.append(f"      -> {one.remedy}")
    return lines


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Set out columns."""
    cells = [list(heads), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def _at(at: object) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
