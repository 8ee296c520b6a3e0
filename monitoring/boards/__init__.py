"""The boards, as Python; `python -m monitoring.boards` writes them as JSON for Grafana."""
