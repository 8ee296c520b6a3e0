"""One example for each request and answer, shown in the API's description; all are tested."""

import json
from typing import Any

from api.problems import problem

_LEASE_ID = "5f0c6f0e-2f0b-4c55-9f0a-3a6a0d3c7b11"
_LOT_ID = "9a1d9e5c-1f0e-5b7a-8a53-1f8a7a0c2b44"
_NOW, _MONDAY, _NEXT = "2027-01-13T15:20:00Z", "2027-01-11T00:00:00Z", "2027-01-18T00:00:00Z"

LEASE_IN = {"hub_id": "main", "account": "ada", "server_name": "", "flavor": "quarter-gpu",
            "image": "base", "present": True}  # fmt: skip
STOP_IN = {"reason": "person"}
GRANT_IN = {"hub_id": "main", "account": "ada", "hours": "2.5", "reason": "final project",
            "until": "2027-02-05T18:00:00+01:00"}  # fmt: skip

LEASE: dict[str, Any] = {
    "id": _LEASE_ID, "hub_id": "main", "account": "ada", "server_name": "",
    "flavor": "quarter-gpu", "image": "base", "state": "held", "weight_mgpu": 250,
    "gpu": {"uuid": "VIRTUAL-0", "name": "Virtual GPU", "share_mgpu": 250, "memory_mib": 4096,
            "virtual": True},
    "waiting": None, "start_before": "2027-01-13T15:30:00Z", "started_at": None,
    "end_reason": None, "end_text": None, "server_time": _NOW,
}  # fmt: skip

_NOTICE = {"id": "0d3f5f5e-6f0b-4b7a-8a53-1f8a7a0c2b44", "kind": "warning_15",
           "text": "15 minutes of GPU time left.", "lease_id": _LEASE_ID, "at": _NOW}  # fmt: skip

ACCOUNT: dict[str, Any] = {
    "account": "ada", "hub_id": "main", "section": "americas", "time_zone": "America/New_York",
    "week": {"number": 1, "topic": "Neural networks", "starts_at": _MONDAY, "ends_at": _NEXT},
    "resets_at": _NEXT, "granted_mgpu_ms": 36_000_000_000, "charged_mgpu_ms": 9_000_000_000,
    "held_mgpu_ms": 150_000_000, "balance_mgpu_ms": 27_000_000_000,
    "available_mgpu_ms": 26_850_000_000, "debt_mgpu_ms": 0, "balance_hours": "7.50",
    "available_hours": "7.46",
    "lots": [{"id": _LOT_ID, "source": "allowance", "amount_mgpu_ms": 36_000_000_000,
              "remaining_mgpu_ms": 27_000_000_000, "starts_at": _MONDAY, "ends_at": _NEXT,
              "author": "lab", "reason": "weekly allowance of section americas"}],
    "sessions": [{"lease_id": _LEASE_ID, "server_name": "", "flavor": "quarter-gpu",
                  "state": "active", "weight_mgpu": 250, "gpu_uuid": "VIRTUAL-0",
                  "started_at": _NOW, "charged_mgpu_ms": 0, "ends_at": None}],
    "charges": [{"lease_id": _LEASE_ID, "from_at": _MONDAY, "until_at": _NOW,
                 "amount_mgpu_ms": 9_000_000_000}],
    "notices": [_NOTICE], "server_time": _NOW,
}  # fmt: skip

SPAWN_OPTIONS: dict[str, Any] = {
    "account": ACCOUNT,
    "flavors": [{"name": "quarter-gpu", "title": "A quarter of a GPU",
                 "description": "For the weekly labs.", "is_gpu": True, "weight_mgpu": 250,
                 "cost_text": "0.25 GPU-hours per hour", "free_slots": 7, "total_slots": 8,
                 "lasts_s": 107_400, "may_start": True, "refusal": None}],
    "images": [{"name": "base", "title": "JupyterLab, Python", "description": "Notebooks."}],
    "notices": [_NOTICE], "server_time": _NOW,
}  # fmt: skip

GRANT: dict[str, Any] = {
    "id": "7d0c6f0e-2f0b-4c55-9f0a-3a6a0d3c7b22", "account": "ada", "hub_id": "main",
    "amount_mgpu_ms": 9_000_000_000, "starts_at": _NOW, "ends_at": "2027-02-05T17:00:00Z",
    "author": "olga", "reason": "final project",
}  # fmt: skip

STATUS_OK = {"status": "ok"}

_PROBLEMS = {
    401: ("not_signed_in", "Not signed in", "Send a JupyterHub token."),
    403: ("forbidden", "Not allowed", "Only the hub may do this."),
    404: ("no_such_account", "Unknown account", "The lab knows nobody of this name."),
    409: ("insufficient_balance", "Not enough GPU-hours", "0.00 available, 0.04 needed."),
    413: ("too_large", "The request is too large", "A request may have at most 65536 bytes."),
    422: ("invalid_request", "The request is not understood", "`errors` names what is wrong."),
    503: ("unavailable", "The books do not answer", "Try again in a few seconds."),
}


def answers(example: dict[str, Any], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe what a route answers: one good answer, and the problems that it can meet."""
    found: dict[int | str, dict[str, Any]] = {
        200: {"content": {"application/json": {"example": example}}}
    }
    for status in statuses:
        code, title, detail = _PROBLEMS[status]
        body = json.loads(bytes(problem(status, code, title, detail).body))
        found[status] = {"description": title,
                         "content": {"application/problem+json": {"example": body}}}  # fmt: skip
    return found
