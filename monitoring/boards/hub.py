"""The hub and its proxy, by what JupyterHub and configurable-http-proxy tell themselves."""

from monitoring.boards.parts import Board, Shown


def _p95(name: str, by: str = "") -> str:
    return (f"histogram_quantile(0.95, sum by ({by}le) "
            f'(rate({name}_bucket{{hub=~"$hub"}}[15m])))')  # fmt: skip


BOARD = Board(
    uid="gpulab-hub",
    title="GPU lab: hub",
    text="The hub and its proxy: who is there, how fast they answer, how starts go.",
    rows={
        "Who is there": [
            Shown(title="Running servers", text="By the hub's own count.", unit="none",
                  queries=[('sum(jupyterhub_running_servers{hub=~"$hub"})', "servers")]),
            Shown(title="Active people", text="In a day, a week and a month.", unit="none",
                  queries=[('sum by (period) (jupyterhub_active_users{hub=~"$hub"})',
                            "{{period}}")]),
        ],
        "How fast": [
            Shown(title="Starts, by the hub", text="95 of 100 are faster, by what became of them.",
                  unit="s", yellow=30, red=60,
                  queries=[(_p95("jupyterhub_server_spawn_duration_seconds", "status, "),
                            "{{status}}")]),
            Shown(title="Stops, by the hub", text="95 of 100 are faster.", unit="s", yellow=15,
                  red=40, queries=[(_p95("jupyterhub_server_stop_seconds", "status, "),
                                    "{{status}}")]),
            Shown(title="Requests", text="95 of 100 are faster.", unit="s", yellow=0.5, red=2,
                  queries=[(_p95("jupyterhub_request_duration_seconds"), "requests")]),
            Shown(title="Answers, by status", text="In a second.", unit="reqps", stacked=True,
                  queries=[(("sum by (code) (rate(jupyterhub_request_duration_seconds_count"
                            '{hub=~"$hub"}[5m]))'), "{{code}}")]),
            Shown(title="Event loop", text="How late it is at most, 95 of 100 times.", unit="s",
                  yellow=0.1, red=1,
                  queries=[(_p95("jupyterhub_event_loop_interval_seconds"), "late")]),
            Shown(title="Proxy", text="Requests in a second: pages, and open connections begun.",
                  unit="reqps",
                  queries=[('sum(rate(requests_web{hub=~"$hub"}[5m]))', "pages"),
                           ('sum(rate(requests_ws{hub=~"$hub"}[5m]))', "connections")]),
        ],
    },
)  # fmt: skip
