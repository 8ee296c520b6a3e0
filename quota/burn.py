"""How many hours a section will have used when its week ends, if it goes on as it has. Pure.

The recording rule `gpulab:section_used_at_week_end:gpu_seconds` is the same formula in the words
of Prometheus; a test holds the two against each other.
"""

from datetime import datetime, timedelta

from quota.amount import GpuTime
from quota.calendar import Week
from quota.clock import ms_between

# The first hours of a week tell little: what is used in them is not stretched to a whole week.
LEAST_RAN = timedelta(hours=6)


def used_at_end(*, used: GpuTime, given: GpuTime, week: Week, now: datetime) -> GpuTime:
    """Return what will have been used by the week's end: at most what was given."""
    length_ms = ms_between(week.starts_at, week.ends_at)
    ran_ms = max(ms_between(week.starts_at, now), LEAST_RAN // timedelta(milliseconds=1))
    return min(GpuTime(used.mgpu_ms * length_ms // ran_ms), given)
