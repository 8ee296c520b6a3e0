"""The one board: whether scholars get GPUs, GPUs are used, and what is wrong."""

from monitoring.boards.parts import Board, Shown

_WAITING = 'sum(gpulab_sessions{hub=~"$hub",state="waiting"})'
_OLDEST = 'max(time() - gpulab_waiting_oldest_timestamp_seconds{hub=~"$hub"}) or vector(0)'
_OCCUPIED = 'sum(gpulab_gpus_occupied{hub=~"$hub"})'
_SERVING = 'sum(gpulab_gpus{hub=~"$hub"})'
_FREE = 'sum(gpulab_gpus_by_state{hub=~"$hub",state="free"})'
_IDLE = 'sum(gpulab_worker_gpu_sessions{hub=~"$hub",state=~"holding|empty"})'
_ON_GPUS = 'sum(gpulab_worker_gpu_sessions{hub=~"$hub"})'
_WORST = """max by (section) (
  gpulab_section_gpu_seconds{hub=~"$hub",kind="promised"}
  / on (hub, section) (gpulab_section_gpu_seconds{hub=~"$hub",kind="possible"} > 0)
)"""
_ALERTS = 'sum by (alertname, severity) (ALERTS{alertstate="firing",hub=~"$hub"})'

BOARD = Board(
    uid="gpulab-now",
    title="GPU lab: now",
    text="Who waits, how long, what is free, what was promised, what is wrong.",
    rows={
        "Do scholars get GPUs?": [
            Shown(title="Waiting for a GPU", text="Requests in the line.", unit="none",
                  queries=[(_WAITING, "waiting")], kind="stat", width=4, yellow=5, red=20,
                  link="gpulab-sessions"),
            Shown(title="Longest wait", text="How long ago the one asked who waits longest.",
                  unit="s", queries=[(_OLDEST, "longest")], kind="stat", width=4, yellow=600,
                  red=1800, link="gpulab-sessions"),
            Shown(title="Free GPUs", text="GPUs in service with nobody on them.", unit="none",
                  queries=[(_FREE, "free")], kind="stat", width=4, link="gpulab-gpus"),
            Shown(title="GPUs leased", text="Part of the GPUs in service that leases occupy.",
                  unit="percentunit", queries=[(f"{_OCCUPIED} / ({_SERVING} > 0)", "leased")],
                  kind="stat", width=4, most=1, link="gpulab-gpus"),
            Shown(title="Sessions with an idle GPU",
                  text="Part of the sessions on GPUs that hold memory or do nothing.",
                  unit="percentunit", queries=[(f"{_IDLE} / ({_ON_GPUS} > 0)", "idle")],
                  kind="stat", width=4, yellow=0.25, red=0.4, most=1, link="gpulab-gpus"),
            Shown(title="Alerts", text="Rules of Prometheus that fire now.", unit="none",
                  queries=[(f"sum({_ALERTS}) or vector(0)", "alerts")], kind="stat", width=4,
                  yellow=1, red=3, link="gpulab-enforcement"),
        ],
        "Line and GPUs": [
            Shown(title="Sessions", text="Open leases by state.", unit="none", stacked=True,
                  queries=[('sum by (state) (gpulab_sessions{hub=~"$hub"})', "{{state}}")],
                  link="gpulab-sessions"),
            Shown(title="GPUs in service and leased", text="Whole GPUs.", unit="none",
                  queries=[(_SERVING, "in service"), (_OCCUPIED, "leased")],
                  link="gpulab-gpus"),
        ],
        "What was promised, and what is wrong": [
            Shown(title="Promised of possible, by section",
                  text="What is left to people until a week's end, of what the GPUs can give "
                  "until then. Above 100 % somebody will not be able to use all of theirs.",
                  unit="percentunit", queries=[(_WORST, "{{section}}")], kind="bars", yellow=0.8,
                  red=1, link="gpulab-quota"),
            Shown(title="Firing alerts", text="By name; docs/runbooks.md says what to do.",
                  unit="none", queries=[(_ALERTS, "")], kind="table", yellow=1,
                  link="gpulab-enforcement"),
        ],
    },
)  # fmt: skip
