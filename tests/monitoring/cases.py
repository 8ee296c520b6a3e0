"""When each alert fires and when it does not: series by the minute, as promtool writes them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Case:
    """An alert with series that make it fire by an instant, and others that do not."""

    bad: Mapping[str, str]
    good: Mapping[str, str]
    at: str = "30m"
    # Of each alert that fires, besides the hub.
    labels: Sequence[Mapping[str, str]] = ({},)


def same(series: str, bad: str, good: str, **more: object) -> Case:
    return Case(bad={series: bad}, good={series: good}, **more)  # type: ignore[arg-type]


_LAG = 'gpulab_enforcement_lag_seconds_bucket{{hub="main",le="{}"}}'
_ALARM = 'gpulab_worker_alarms_total{{hub="main",event="{}"}}'
_SPAWNS = ('jupyterhub_server_spawn_duration_seconds_count'
           '{{hub="main",status="{}",reason="{}"}}')  # fmt: skip
_SECTION = 'gpulab_section_gpu_seconds{{hub="main",section="utc",kind="{}"}}'
_WAITING = 'gpulab_waiting_oldest_timestamp_seconds{hub="main",flavor="whole"}'
_FREE = 'gpulab_gpus_by_state{hub="main",state="free"}'
_STATES = 'gpulab_worker_gpu_sessions{{hub="main",state="{}"}}'
_BUSY = 'gpulab_gpu_utilization_ratio{hub="main",pool="a",gpu="GPU-1"}'
_ON_GPU = 'gpulab_session_gpu_info{{hub="main",session="s",flavor="f",section="utc",gpu="GPU-1",does="{}"}}'  # noqa: E501
_CERTIFICATE = 'gpulab_certificate_timestamp_seconds{{hub="main",edge="{}"}}'
_HUB = '{hub="main"}'

CASES: Mapping[str, Case] = {
    "GpuLabTickStalled": same(f"gpulab_tick_timestamp_seconds{_HUB}", "0 60 120 120x60",
                              "0+60x60"),
    "GpuLabEnforcementLate": Case(
        bad={_LAG.format("20"): "0x60", _LAG.format("50"): "0x60", _LAG.format("120"): "0+1x60",
             _LAG.format("+Inf"): "0+1x60"},
        good={_LAG.format("20"): "0+1x60", _LAG.format("50"): "0+1x60",
              _LAG.format("120"): "0+1x60", _LAG.format("+Inf"): "0+1x60"}),
    "GpuLabSessionsOverdue": same(f"gpulab_sessions_overdue{_HUB}", "1x60", "0 1 1 0x60"),
    "GpuLabFailOpen": same(_ALARM.format("session_adopted"), "0x25 1x40", "1x60"),
    "GpuLabBooksDoNotBalance": same('gpulab_check_faults{hub="main",part="books"}', "0x20 2x40",
                                    "0x60", labels=[{"part": "books"}]),
    "GpuLabAuditChainBroken": same('gpulab_check_faults{hub="main",part="trail"}', "0x20 1x40",
                                   "0x60", labels=[{"part": "trail"}]),
    "GpuLabBooksNotChecked": same(f"gpulab_check_timestamp_seconds{_HUB}", "-180000x60",
                                  "-80000x60"),
    "GpuLabBooksDiffer": same(_ALARM.format("session_vanished"), "0x25 1x40", "1x60",
                              labels=[{"event": "session_vanished"}]),
    "GpuLabQueueLongWhileGpusFree": Case(bad={_WAITING: "0x60", _FREE: "1x60"}, at="50m",
                                         good={_WAITING: "0x60", _FREE: "0x60"}),
    "GpuLabGpuLost": same(_ALARM.format("gpu_lost"), "0x25 4x40", "4x60"),
    "GpuLabGpuXid": Case(
        bad={'DCGM_FI_DEV_XID_ERRORS{hub="main",pool="a",gpu="0",UUID="GPU-1"}': "0x20 79x40",
             'gpulab_gpu_uncorrected_errors{hub="main",pool="b",gpu="GPU-2"}': "0x20 3x40"},
        good={'DCGM_FI_DEV_XID_ERRORS{hub="main",pool="a",gpu="0",UUID="GPU-1"}': "0x60",
              'gpulab_gpu_uncorrected_errors{hub="main",pool="b",gpu="GPU-2"}': "7x60"},
        labels=[{"pool": "a", "gpu": "GPU-1"}, {"pool": "b", "gpu": "GPU-2"}]),
    "GpuLabGpuDriverSilent": same(f"gpulab_gpu_driver_up{_HUB}", "1x10 0x60", "1 0 0 1x60"),
    "GpuLabIdleShareHigh": Case(
        bad={_STATES.format("holding"): "5x90", _STATES.format("active"): "5x90"},
        good={_STATES.format("holding"): "1x90", _STATES.format("active"): "9x90"}, at="80m"),
    "GpuLabSpawnFailures": Case(
        bad={_SPAWNS.format("failure", ""): "0+1x60", _SPAWNS.format("success", ""): "0+1x60"},
        # Refusals are no failures.
        good={_SPAWNS.format("failure", ""): "0x60", _SPAWNS.format("success", ""): "0+1x60",
              _SPAWNS.format("failure", "insufficient_balance"): "0+9x60"}),
    "GpuLabStartsThrottled": same(_SPAWNS.format("failure", "throttled"), "0+5x60", "0+0.1x60"),
    "GpuLabNotificationsFailing": same(
        'gpulab_notifications_total{hub="main",channel="mail",result="given_up"}', "0x20 2x40",
        "2x60"),
    "GpuLabDiskFull": Case(
        bad={f"gpulab_disk_free_bytes{_HUB}": "5x60", f"gpulab_disk_size_bytes{_HUB}": "100x60"},
        good={f"gpulab_disk_free_bytes{_HUB}": "50x60", f"gpulab_disk_size_bytes{_HUB}": "100x60"},
    ),
    "GpuLabCertificateEndsSoon": Case(
        bad={_CERTIFICATE.format("begin"): "-90000x100", _CERTIFICATE.format("end"): "10000x100"},
        good={_CERTIFICATE.format("begin"): "-90000x100", _CERTIFICATE.format("end"): "90000x100"},
        at="90m"),
    "GpuLabDatabaseAway": same(f"gpulab_books_up{_HUB}", "1x20 0x40", "1x20 0 1x40"),
    "GpuLabProgramDown": same('up{hub="main",job="worker"}', "1x10 0x50", "1x10 0 0 1x50",
                              labels=[{"job": "worker"}]),
    "GpuLabWatchdogBlind": same(f"gpulab_watchdog_note_timestamp_seconds{_HUB}", "60x60",
                                "0+60x60"),
    "GpuLabCensusOld": same(f"gpulab_census_timestamp_seconds{_HUB}", "0x90", "0+60x90",
                            at="80m"),
    "GpuLabPromisedTooMuch": Case(
        bad={_SECTION.format("promised"): "200x90", _SECTION.format("possible"): "100x90"},
        good={_SECTION.format("promised"): "100x90", _SECTION.format("possible"): "200x90"},
        labels=[{"section": "utc"}], at="80m"),
    "GpuLabMaybeAbuse": Case(
        bad={_BUSY: "0.99x300", _ON_GPU.format("training"): "1x300"},
        # Somebody is there.
        good={_BUSY: "0.99x300", _ON_GPU.format("active"): "1x300"},
        labels=[{"gpu": "GPU-1"}], at="200m"),
    "GpuLabAlarm": same('gpulab_watchdog_alarms_total{hub="main",event="clock_jumped"}',
                        "0x25 1x40", "1x60", labels=[{"event": "clock_jumped"}]),
}  # fmt: skip

# What the recording rules make of their series: expression, series, expected value.
RECORDED: Sequence[tuple[str, Mapping[str, str], Mapping[str, str], float]] = (
    ("gpulab:gpu_utilization:ratio", {_BUSY: "0.5x10"},
     {"hub": "main", "pool": "a", "gpu": "GPU-1"}, 0.5),
    ("gpulab:gpu_utilization:ratio",
     {'DCGM_FI_DEV_GPU_UTIL{hub="main",pool="k",gpu="0",UUID="GPU-9",hostname="n"}': "70x10"},
     {"hub": "main", "pool": "k", "gpu": "GPU-9"}, 0.7),
    # Where both are told, that of the engine counts: it is there for MIG too.
    ("gpulab:gpu_utilization:ratio",
     {'DCGM_FI_PROF_GR_ENGINE_ACTIVE{hub="main",pool="k",gpu="0",UUID="GPU-9"}': "0.4x10",
      'DCGM_FI_DEV_GPU_UTIL{hub="main",pool="k",gpu="0",UUID="GPU-9"}': "70x10"},
     {"hub": "main", "pool": "k", "gpu": "GPU-9"}, 0.4),
    ("gpulab:gpu_memory:bytes",
     {'DCGM_FI_DEV_FB_USED{hub="main",pool="k",gpu="0",UUID="GPU-9"}': "100x10",
      'DCGM_FI_DEV_FB_FREE{hub="main",pool="k",gpu="0",UUID="GPU-9"}': "28x10"},
     {"hub": "main", "pool": "k", "gpu": "GPU-9"}, 128 * 2**20),
    ("gpulab:gpu_power:watts",
     {'DCGM_FI_DEV_POWER_USAGE{hub="main",pool="k",gpu="0",UUID="GPU-9"}': "71.5x10"},
     {"hub": "main", "pool": "k", "gpu": "GPU-9"}, 71.5),
    ("gpulab:gpu_temperature:celsius",
     {'gpulab_gpu_temperature_celsius{hub="main",pool="a",gpu="GPU-1"}': "61x10"},
     {"hub": "main", "pool": "a", "gpu": "GPU-1"}, 61),
    ("gpulab:gpu_memory_used:bytes",
     {'gpulab_gpu_memory_used_bytes{hub="main",pool="a",gpu="GPU-1"}': "5x10"},
     {"hub": "main", "pool": "a", "gpu": "GPU-1"}, 5),
    ("gpulab:session_gpu_utilization:ratio", {_BUSY: "0.5x10", _ON_GPU.format("active"): "1x10"},
     {"hub": "main", "session": "s", "section": "utc", "flavor": "f", "gpu": "GPU-1"}, 0.5),
    ("gpulab:sessions_idle:ratio",
     {_STATES.format("empty"): "1x10", _STATES.format("training"): "3x10"}, {"hub": "main"}, 0.25),
)  # fmt: skip
