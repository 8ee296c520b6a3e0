"""A lab in one time zone, and sums over its whole ledger."""

from sqlalchemy import Engine, func, select

from quota.amount import GpuTime
from quota.lab import Lab
from quota.store.engine import reading
from quota.store.tables import entries
from tests.quota.books import make_lab


def lab_in(zone: str, amount: str = "10") -> Lab:
    text = f"""
sections:
  here: {{time_zone: {zone}, scholars: [ada, blaise], hours_per_week: {amount}}}
flavors:
  cpu: {{weight_mgpu: 0}}
  quarter: {{weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}}
  whole: {{weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}}
images:
  base: {{docker: "gpulab/base:latest"}}
gpus: {{mode: declared, declared: [{{name: Virtual GPU, memory_mib: 16384, count: 2}}]}}
"""
    return make_lab(text)


def sum_of(engine: Engine, kind: str) -> GpuTime:
    with reading(engine) as tx:
        total = func.sum(entries.c.posted, type_=entries.c.posted.type)
        found = tx.execute(select(total).where(entries.c.kind == kind)).scalar_one()
    assert isinstance(found, GpuTime)
    return found
