"""Enforcement and books: whether sessions are stopped in time and the books are true."""

from monitoring.boards.parts import Board, Shown

_LAG = ("histogram_quantile({}, sum by (le) "
        '(rate(gpulab_enforcement_lag_seconds_bucket{{hub=~"$hub"}}[1h])))')  # fmt: skip
_ALARMS = ('sum by (event) (increase({{__name__=~"gpulab_(worker|watchdog|notifier)_alarms_total",'
           'hub=~"$hub"}}[{}])) > 0')  # fmt: skip

BOARD = Board(
    uid="gpulab-enforcement",
    title="GPU lab: enforcement and books",
    text="Are sessions stopped in time, do the books agree with what runs, do letters go out?",
    rows={
        "In time": [
            Shown(title="Since the last pass", text="The worker looks every 15 seconds.",
                  unit="s", kind="stat", width=6, yellow=60, red=120,
                  queries=[('max(time() - gpulab_tick_timestamp_seconds{hub=~"$hub"})',
                            "pass")]),
            Shown(title="Overdue sessions", text="They run although they should be stopped.",
                  unit="none", kind="stat", width=6, red=1,
                  queries=[('sum(gpulab_sessions_overdue{hub=~"$hub"})', "overdue")]),
            Shown(title="Books and trail", text="Faults that the last check found.",
                  unit="none", kind="stat", width=6, red=1,
                  queries=[('sum(gpulab_check_faults{hub=~"$hub"})', "faults")]),
            Shown(title="Since the last check", text="`gpulab check` should run every night.",
                  unit="s", kind="stat", width=6, yellow=90_000, red=172_800,
                  queries=[('max(time() - gpulab_check_timestamp_seconds{hub=~"$hub"})',
                            "check")]),
            Shown(title="Time to the end of a session",
                  text="From its last paid instant; 50 seconds are the promise.", unit="s",
                  yellow=30, red=50,
                  queries=[(_LAG.format(0.5), "half"), (_LAG.format(0.95), "95 of 100")]),
            Shown(title="Overrun", text="GPU-seconds in an hour after the last paid instant.",
                  unit="s", yellow=600,
                  queries=[('sum(increase(gpulab_overrun_gpu_seconds_total{hub=~"$hub"}[1h]))',
                            "overrun")]),
        ],
        "Work": [
            Shown(title="Passes, by outcome", text="In five minutes.", unit="none",
                  stacked=True,
                  queries=[(('sum by (outcome) (increase(gpulab_worker_ticks_total'
                            '{hub=~"$hub"}[5m]))'), "{{outcome}}")]),
            Shown(title="How long a pass takes", text="95 of 100 are faster.", unit="s",
                  yellow=1, red=5,
                  queries=[(("histogram_quantile(0.95, sum by (le) (rate("
                            'gpulab_worker_tick_seconds_bucket{hub=~"$hub"}[15m])))'), "pass")]),
            Shown(title="Alarms in an hour", text="Events that want a person; see the runbooks.",
                  unit="none", yellow=1,
                  queries=[(_ALARMS.format("1h"), "{{event}}")]),
            Shown(title="Not the lab's, or forgotten",
                  text="Containers with a GPU that are not the lab's; sessions that the hub lost.",
                  unit="none", yellow=1,
                  queries=[('sum(gpulab_watchdog_foreign_containers{hub=~"$hub"})', "foreign"),
                           ('sum(gpulab_worker_forgotten_sessions{hub=~"$hub"})',
                            "forgotten")]),
        ],
        "Parts": [
            Shown(title="Programs", text="1: Prometheus reads it.", unit="none", kind="bars",
                  red=1, low_is_bad=True, most=1,
                  queries=[('min by (job) (up{hub=~"$hub"})', "{{job}}")]),
            Shown(title="Books answer", text="1: at the last scrape.", unit="none",
                  red=1, low_is_bad=True, most=1,
                  queries=[('min(gpulab_books_up{hub=~"$hub"})', "books")]),
            Shown(title="Letters, by result", text="In an hour.", unit="none", stacked=True,
                  queries=[(('sum by (result) (increase(gpulab_notifications_total'
                            '{hub=~"$hub"}[1h]))'), "{{result}}")]),
            Shown(title="Disk of the lab's state", text="What is free.", unit="percentunit",
                  red=0.1, yellow=0.2, low_is_bad=True, most=1,
                  queries=[(('gpulab_disk_free_bytes{hub=~"$hub"} '
                            '/ gpulab_disk_size_bytes{hub=~"$hub"}'), "{{job}}")]),
        ],
    },
)  # fmt: skip
