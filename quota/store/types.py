"""How amounts and instants stand in a column: whole numbers, so that both databases agree."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, TypeDecorator

from quota.amount import GpuTime
from quota.clock import from_ms, to_ms


class Amount(TypeDecorator[GpuTime]):
    """GPU time as whole thousandths of a GPU x milliseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: GpuTime | None, _dialect: Any) -> int | None:
        """Write the integer."""
        return None if value is None else value.mgpu_ms

    def process_result_value(self, value: int | None, _dialect: Any) -> GpuTime | None:
        """Read the integer; sums in PostgreSQL come as Decimal."""
        return None if value is None else GpuTime(int(value))


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant as whole milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> int | None:
        """Write milliseconds."""
        return None if value is None else to_ms(value)

    def process_result_value(self, value: int | None, _dialect: Any) -> datetime | None:
        """Read milliseconds."""
        return None if value is None else from_ms(value)
