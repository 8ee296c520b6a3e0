"""Usage as CSV, JSON or Parquet, in parts, so that a whole program never lies in memory."""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Literal

from api.schemas_bulk import UsageLine
from quota.lab import Lab
from quota.store.usage import ChargeLine

UsageFormat = Literal["json", "csv", "parquet"]
MEDIA_TYPES = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
COLUMNS = tuple(UsageLine.model_fields)
_AT_ONCE = 2_000

# A spreadsheet runs what begins so; with a quote before it, it is text.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def usage_line(line: ChargeLine, lab: Lab) -> UsageLine:
    """Show one charge."""
    section = lab.section_of(line.account)
    return UsageLine(
        account=line.account, section=None if section is None else section.name,
        flavor=line.flavor, lease_id=line.lease_id, from_at=line.from_at, until_at=line.until_at,
        mgpu_ms=line.amount.mgpu_ms, gpu_hours=line.amount.hours_text(),
    )  # fmt: skip


def export(lines: Iterable[UsageLine], form: UsageFormat, *, head: str = "") -> Iterator[bytes]:
    """Write usage in a format; `head` is what comes before the lines in JSON."""
    if form == "csv":
        return as_csv(lines)
    return as_parquet(lines) if form == "parquet" else as_json(lines, head)


def as_csv(lines: Iterable[UsageLine]) -> Iterator[bytes]:
    """Write CSV that a spreadsheet can open without running any of it."""
    yield csv_text([COLUMNS]).encode()
    for some in _batches(lines):
        yield csv_text(one.model_dump(mode="json").values() for one in some).encode()


def safe_cell(value: object) -> object:
    """Keep a spreadsheet from taking a text for a formula."""
    if not isinstance(value, str) or _NUMBER.fullmatch(value):
        return value
    return f"'{value}" if value.startswith(_FORMULA_STARTS) else value


def as_json(lines: Iterable[UsageLine], head: str) -> Iterator[bytes]:
    """Write one JSON object with all lines."""
    yield f'{{{head}"lines":['.encode()
    before = b""
    for some in _batches(lines):
        yield before + ",".join(one.model_dump_json() for one in some).encode()
        before = b","
    yield b"]}"


def as_parquet(lines: Iterable[UsageLine]) -> Iterator[bytes]:
    """Write Parquet, one row group for each batch."""
    # Here and not above: it takes much memory, and most processes never export anything.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    instant = pa.timestamp("ms", tz="UTC")
    schema = pa.schema([
        (name, {"from_at": instant, "until_at": instant, "mgpu_ms": pa.int64()}.get(
            name, pa.string())) for name in COLUMNS
    ])  # fmt: skip
    sink = _Sink()
    with pq.ParquetWriter(sink, schema) as writer:
        for some in _batches(lines):
            rows = [one.model_dump() | {"lease_id": str(one.lease_id)} for one in some]
            writer.write_table(pa.Table.from_pylist(rows, schema))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """A file that is handed on in parts while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """It can be written."""
        return True

    def tell(self) -> int:
        """Tell how much was written in all."""
        return self._position

    def write(self, data: Any) -> int:
        """Take a part."""
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def taken(self) -> bytes:
        """Hand on what came since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Write rows as CSV in which no cell is a formula."""
    text = io.StringIO()
    safe = ([safe_cell(cell) for cell in row] for row in rows)
    csv.writer(text, lineterminator="\r\n").writerows(safe)
    return text.getvalue()


def _batches(lines: Iterable[UsageLine]) -> Iterator[list[UsageLine]]:
    rest = iter(lines)
    while some := list(islice(rest, _AT_ONCE)):
        yield some
