"""Sessions and queue: who waits, how long, how starts go, why sessions end."""

from monitoring.boards.parts import Board, Shown


def _quantile(part: float, name: str) -> str:
    return (f"histogram_quantile({part}, sum by (le) "
            f'(rate({name}_bucket{{hub=~"$hub"}}[1h])))')  # fmt: skip


_REFUSED = """topk(
  8, sum by (code) (increase(gpulab_requests_refused_total{hub=~"$hub"}[1h]))
)"""

_FAILED = """sum by (status, reason) (
  increase(jupyterhub_server_spawn_duration_seconds_count{hub=~"$hub",status!="success"}[1h])
)"""

BOARD = Board(
    uid="gpulab-sessions",
    title="GPU lab: sessions and queue",
    text="Who waits and how long, how starts go, what is refused, why sessions end.",
    rows={
        "The line": [
            Shown(title="Waiting, by flavor", text="Requests in the line.", unit="none",
                  stacked=True, yellow=20,
                  queries=[('sum by (flavor) (gpulab_sessions{hub=~"$hub",state="waiting"})',
                            "{{flavor}}")]),
            Shown(title="Longest wait, by flavor",
                  text="How long ago the one asked who waits longest.", unit="s", yellow=600,
                  red=1800,
                  queries=[(("time() - gpulab_waiting_oldest_timestamp_seconds"
                            '{hub=~"$hub"}'), "{{flavor}}")]),
            Shown(title="Waits of those who started", text="From the request to the turn.",
                  unit="s", yellow=600, red=1800,
                  queries=[(_quantile(0.5, "gpulab_session_wait_seconds"), "half"),
                           (_quantile(0.95, "gpulab_session_wait_seconds"), "95 of 100")]),
            Shown(title="Starts", text="From the turn to a container that runs.", unit="s",
                  yellow=30, red=60,
                  queries=[(_quantile(0.5, "gpulab_session_start_seconds"), "half"),
                           (_quantile(0.95, "gpulab_session_start_seconds"), "95 of 100")]),
        ],
        "Sessions": [
            Shown(title="Open leases, by flavor and state", text="All that is open.",
                  unit="none", stacked=True,
                  queries=[('sum by (flavor, state) (gpulab_sessions{hub=~"$hub"})',
                            "{{flavor}}, {{state}}")]),
            Shown(title="Ended, by reason", text="In an hour.", unit="none", stacked=True,
                  queries=[(('sum by (reason) (increase(gpulab_sessions_ended_total'
                            '{hub=~"$hub"}[1h])) > 0'), "{{reason}}")]),
            Shown(title="Refused, by code", text="In an hour; docs/reference.md lists the codes.",
                  unit="none", stacked=True, queries=[(_REFUSED, "{{code}}")]),
            Shown(title="Starts that failed, by the hub",
                  text="In an hour: failed, refused, or throttled where too many start at once.",
                  unit="none", yellow=1, red=5,
                  queries=[(_FAILED, "{{status}} {{reason}}")]),
        ],
        "Help": [
            Shown(title="Raised hands", text="Open requests for help.", unit="none", yellow=5,
                  red=15,
                  queries=[('sum by (state) (gpulab_help_requests{hub=~"$hub"})', "{{state}}")]),
            Shown(title="TAs attached", text="To scholars' sessions, by what they may do.",
                  unit="none",
                  queries=[('sum by (mode) (gpulab_attachments{hub=~"$hub"})', "{{mode}}")]),
        ],
    },
)  # fmt: skip
