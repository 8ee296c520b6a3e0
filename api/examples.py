"""An example of everything that goes in and out, for the description of the service.

One small story: ada, a scholar of the section americas, a session on half a GPU, a request, a
refund. A test validates each example against its type.
"""

from typing import Any

_ID = "6f1f7c52-6d3b-4a1e-9a55-0d3f1a1b7c01"
_LEASE_ID = "0b9a2f34-58f6-4a7e-8a53-2f6f0e6f2c11"
_WEEK_STARTS, _WEEK_ENDS = "2027-01-18T05:00:00Z", "2027-01-25T05:00:00Z"
_NOW = "2027-01-20T17:00:00Z"
_HOUR = 3_600_000_000

_WEEK = {"number": 2, "topic": "Training at scale", "starts_at": _WEEK_STARTS,
         "ends_at": _WEEK_ENDS}  # fmt: skip
_GPU = {"uuid": "GPU-5c5a9f3e", "name": "Virtual GPU", "share_mgpu": 500, "memory_mib": 8192,
        "virtual": True, "gpu_memory_mib": 16384, "sharing": "plain",
        "holds_memory": False}  # fmt: skip
_GPU_STATE = {"state": "holding", "since": "2027-01-20T16:40:00Z",
              "release_at": "2027-01-20T17:10:00Z", "kept_until": None,
              "busy_ratio": 0.0, "held_mib": 3140}  # fmt: skip
_LEASE = {
    "id": _LEASE_ID, "hub_id": "main", "account": "ada", "server_name": "", "flavor": "half-gpu",
    "image": "base", "state": "active", "weight_mgpu": 500, "gpu": _GPU, "waiting": None,
    "start_before": None, "started_at": "2027-01-20T16:00:00Z", "end_reason": None,
    "end_text": None, "server_time": _NOW,
}  # fmt: skip
_NOTICE = {"id": _ID, "kind": "granted", "text": "You got 2 GPU-hours more.", "lease_id": None,
           "at": _NOW}  # fmt: skip
_ACCOUNT = {
    "account": "ada", "hub_id": "main", "section": "americas", "time_zone": "America/New_York",
    "week": _WEEK, "resets_at": _WEEK_ENDS, "granted_mgpu_ms": 10 * _HOUR,
    "charged_mgpu_ms": 2 * _HOUR, "held_mgpu_ms": 0, "balance_mgpu_ms": 8 * _HOUR,
    "available_mgpu_ms": 8 * _HOUR, "debt_mgpu_ms": 0, "balance_hours": "8.00",
    "available_hours": "8.00",
    "lots": [{
        "id": _ID, "source": "allowance", "amount_mgpu_ms": 10 * _HOUR,
        "remaining_mgpu_ms": 8 * _HOUR, "starts_at": _WEEK_STARTS, "ends_at": _WEEK_ENDS,
        "author": "gpulab", "reason": "week 2 of section americas",
    }],
    "sessions": [{
        "lease_id": _LEASE_ID, "server_name": "", "flavor": "half-gpu", "image": "base",
        "state": "active", "keeps_place": False, "turn_until": None,
        "weight_mgpu": 500, "gpu_uuid": _GPU["uuid"], "started_at": "2027-01-20T16:00:00Z",
        "charged_mgpu_ms": _HOUR // 2, "ends_at": "2027-01-21T09:00:00Z",
        "gpu_state": _GPU_STATE,
    }],
    "charges": [{
        "lease_id": _LEASE_ID, "from_at": "2027-01-20T16:00:00Z",
        "until_at": "2027-01-20T16:10:00Z", "amount_mgpu_ms": _HOUR // 12,
    }],
    "notices": [_NOTICE], "server_time": _NOW,
}  # fmt: skip
_GRANT = {
    "id": _ID, "account": "ada", "hub_id": "main", "amount_mgpu_ms": 2 * _HOUR,
    "starts_at": _NOW, "ends_at": _WEEK_ENDS, "author": "olga", "reason": "project week",
    "source": "grant",
}  # fmt: skip
_REQUEST = {
    "id": _ID, "account": "ada", "hours_mgpu_ms": 3 * _HOUR, "hours": "3.00",
    "reason": "a second run for the project", "state": "approved", "asked_at": _NOW,
    "stale_at": "2027-01-27T17:00:00Z", "decided_at": "2027-01-20T18:00:00Z",
    "decided_by": "tomas", "granted_mgpu_ms": 2 * _HOUR, "answer": "two now, ask again on Friday",
}  # fmt: skip
_ATTACHMENT = {
    "id": _ID, "account": "ada", "lease_id": _LEASE_ID, "ta": "tomas", "mode": "observe",
    "reason": "asked for help with lab 2", "started_at": _NOW, "until": "2027-01-20T17:30:00Z",
    "ended_at": None, "end_reason": None, "help_request_id": None, "may_enter": True,
}  # fmt: skip
_HELP = {
    "id": _ID, "account": "ada", "section": "americas", "server_name": "",
    "message": "the loss does not fall", "path": "labs/lab2.ipynb", "state": "claimed",
    "place": None, "raised_at": "2027-01-20T16:50:00Z", "claimed_by": "tomas",
    "claimed_at": _NOW, "closed_by": None, "closed_at": None, "answer": "",
}  # fmt: skip
_RESERVATION = {
    "id": _ID, "account": "ada", "section": "americas", "flavor": "half-gpu",
    "starts_at": "2027-01-21T18:00:00Z", "ends_at": "2027-01-21T20:00:00Z", "state": "open",
    "made_at": _NOW, "closed_at": None,
}  # fmt: skip
_RULE = {"title": "Paper review", "due": "2027-01-22 23:59", "hours": "4"}
_RULE_OUT = {"part": "due_dates", "name": "paper-review", "rule": _RULE,
             "etag": "5f2b1c9e7a3d4b60"}  # fmt: skip
_FEED = {"id": _ID, "owner": "ada", "section": "americas", "made_at": _NOW, "revoked_at": None,
         "path": "/feeds/Zt0m3rS2b0n1c9Qh5v8yXk7uLw4eJd6aPfGiRsTzOqM.ics"}  # fmt: skip
_CHOICES = {
    "account": "ada", "etag": "5f2b1c9e7a3d4b60",
    "kinds": [{"kind": "stopped", "title": "The session was stopped", "channels": ["mail"]}],
    "channels": [{"name": "mail", "title": "Mail", "to_person": True}],
}  # fmt: skip
_WINDOW = {"name": "wednesday", "title": "Co-working hours of Americas", "starts_at": _NOW,
           "ends_at": "2027-01-20T19:00:00Z"}  # fmt: skip

EXAMPLES: dict[str, Any] = {
    "LeaseIn": {"hub_id": "main", "account": "ada", "server_name": "", "flavor": "half-gpu",
                "image": "base", "present": True},
    "LeaseOut": _LEASE,
    "NoticeChoicesIn": {"choices": {"stopped": ["mail"], "half_used": []}},
    "NoticeChoicesOut": _CHOICES,
    "StopIn": {"reason": "person"},
    "GpuStateOut": _GPU_STATE,
    "RunningSessions": {"cpu_idle_s": 3600, "sessions": [
        {"account": "ada", "server_name": "", "has_gpu": True, "state": "training"}]},
    "AccountOut": _ACCOUNT,
    "AccountPage": {
        "accounts": [{
            "account": "ada", "section": "americas", "granted_mgpu_ms": 10 * _HOUR,
            "charged_mgpu_ms": 2 * _HOUR, "held_mgpu_ms": 0, "balance_mgpu_ms": 8 * _HOUR,
            "available_mgpu_ms": 8 * _HOUR, "debt_mgpu_ms": 0, "available_hours": "8.00",
            "sessions": 1,
        }],
        "next": "WyJhZGEiXQ",
    },
    "ExplanationOut": {
        "account": "ada", "balance_mgpu_ms": 8 * _HOUR, "held_mgpu_ms": 0,
        "available_mgpu_ms": 8 * _HOUR, "balance_hours": "8.00", "available_hours": "8.00",
        "lines": [
            {"kind": "allowance", "text": "week 2 of section americas",
             "amount_mgpu_ms": 10 * _HOUR, "hours": "10.00", "author": "gpulab", "lot_id": _ID,
             "ends_at": _WEEK_ENDS},
            {"kind": "charge", "text": "used by sessions, from week 2 of section americas",
             "amount_mgpu_ms": -2 * _HOUR, "hours": "-2.00", "author": "gpulab", "lot_id": _ID,
             "ends_at": _WEEK_ENDS},
        ],
    },
    "SpawnOptionsOut": {
        "account": _ACCOUNT,
        "flavors": [{
            "name": "half-gpu", "title": "Half a GPU", "description": "For larger models.",
            "is_gpu": True, "weight_mgpu": 500, "cost_text": "0.5 GPU-hours per hour",
            "free_slots": 3, "total_slots": 4, "lasts_s": 57_600, "may_start": True,
            "refusal": None,
        }],
        "images": [{"name": "base", "title": "JupyterLab, Python", "description": "Notebooks."}],
        "gpu_notes": ["Each session is held to the GPU memory of its flavor."],
        "notices": [_NOTICE], "server_time": _NOW,
    },
    "GrantIn": {"hub_id": "main", "account": "ada", "hours": "2", "reason": "project week"},
    "GrantOut": _GRANT,
    "GrantPage": {"grants": [_GRANT], "next": None},
    "BulkIn": {"id": _ID, "hub_id": "main", "rows": [
        {"account": "ada", "hours": "2", "reason": "project week"},
        {"account": "blaise", "hours": "1.5", "reason": "project week"},
    ]},
    "text/csv": "account,hours,reason\r\nada,2,project week\r\nblaise,1.5,project week\r\n",
    "BulkTrial": {
        "id": _ID, "count": 1, "total_mgpu_ms": 2 * _HOUR, "total_hours": "2.00", "faults": [],
        "faults_left_out": 0,
        "changes": [{"account": "ada", "hours": "2", "available_before_mgpu_ms": 8 * _HOUR,
                     "available_after_mgpu_ms": 10 * _HOUR}],
        "changes_left_out": 0, "token": "9f1c6b1f5d0c4b6f8a0e2d7c3b5a4f10",
    },
    "BulkDone": {"id": _ID, "count": 1, "total_mgpu_ms": 2 * _HOUR, "total_hours": "2.00",
                 "grants": [_GRANT], "grants_left_out": 0},
    "AskIn": {"hub_id": "main", "hours": "3", "reason": "a second run for the project"},
    "AnswerIn": {"hours": "2", "text": "two now, ask again on Friday"},
    "RequestOut": _REQUEST,
    "RequestPage": {"requests": [_REQUEST], "next": None},
    "RefundIn": {"hub_id": "main", "starts_at": "2027-01-19T08:00:00Z",
                 "ends_at": "2027-01-19T09:30:00Z", "reason": "the file server was down"},
    "RefundOut": {
        "incident": "storage-2027-01-19", "dry_run": False, "total_mgpu_ms": _HOUR,
        "total_hours": "1.00",
        "refunds": [{"account": "ada", "amount_mgpu_ms": _HOUR, "hours": "1.00",
                     "is_new": True}],
    },
    "AttachIn": {"hub_id": "main", "account": "ada", "server_name": "", "mode": "observe",
                 "minutes": 30, "reason": "asked for help with lab 2"},
    "AttachmentOut": _ATTACHMENT,
    "AttachmentPage": {"attachments": [_ATTACHMENT], "next": None},
    "HelpIn": {"hub_id": "main", "message": "the loss does not fall", "path": "labs/lab2.ipynb",
               "server_name": ""},
    "HandOverIn": {"to": "tilda"},
    "ResolveIn": {"text": "the learning rate was too high"},
    "HelpOut": _HELP,
    "HelpPage": {"help_requests": [_HELP], "next": None},
    "ReservationIn": {"hub_id": "main", "flavor": "half-gpu", "minutes": 120,
                      "starts_at": "2027-01-21T18:00:00Z"},
    "ReservationOut": _RESERVATION,
    "ReservationPage": {"reservations": [_RESERVATION], "next": None},
    "ConsentIn": {"choice": "asking"},
    "ConsentOut": {"account": "ada", "choice": "asking", "chosen_at": _NOW},
    "VisitsIn": {"no_observing": ""},
    "VisitsOut": {"visits": [
        {"ta": "tomas", "mode": "observe", "until": "2027-01-20T17:30:00Z"}]},
    "EmergencyIn": {"hub_id": "main", "opened_by": "olga", "reason": "the database is away",
                    "opened_at": "2027-01-20T15:00:00Z", "until": "2027-01-20T17:00:00Z",
                    "closed_by": "", "closed_at": None},
    "EmergencyStartIn": {"account": "ada", "server_name": "", "flavor": "half-gpu",
                         "gpu_uuid": _GPU["uuid"], "started_at": "2027-01-20T15:10:00Z",
                         "ends_at": "2027-01-20T17:00:00Z"},
    "ToldOut": {"id": _ID},
    "GpusOut": {
        "gpus": [{"uuid": _GPU["uuid"], "name": "Virtual GPU", "kind": "virtual",
                  "memory_mib": 16384, "in_service": True, "sharing": "plain",
                  "holds_memory": False}],
        "occupied": [{"lease_id": _LEASE_ID, "account": "ada", "gpu_uuid": _GPU["uuid"],
                      "share_mgpu": 500, "memory_mib": 8192, "ref": "f3a9c1",
                      "is_starting": False}],
    },
    "FeedIn": {"hub_id": "main", "section": "americas"},
    "FeedOut": _FEED,
    "FeedPage": {"feeds": [_FEED | {"path": None}], "next": None},
    "AuditPage": {
        "lines": [{
            "seq": 17, "at": _NOW, "hub_id": "main", "actor": "olga", "action": "grant",
            "subject": "ada", "reason": "project week", "before": {"available": "8"},
            "after": {"available": "10", "hours": "2"}, "request_id": "5b7c2f8e9d0a4c1b",
            "hash": "ab" * 32,
        }],
        "head": "17:" + "ab" * 32, "next": None,
    },
    "UsageOut": {
        "starts_at": _WEEK_STARTS, "ends_at": _WEEK_ENDS,
        "lines": [{
            "account": "ada", "section": "americas", "flavor": "half-gpu", "lease_id": _LEASE_ID,
            "from_at": "2027-01-20T16:00:00Z", "until_at": "2027-01-20T16:10:00Z",
            "mgpu_ms": _HOUR // 12, "gpu_hours": "0.08",
        }],
    },
    "application/vnd.apache.parquet": "(binary)",
    "SectionWeekOut": {
        "section": "americas", "time_zone": "America/New_York", "week": _WEEK,
        "due": [{"name": "paper-review", "title": "Paper review",
                 "due_at": "2027-01-23T04:59:00Z", "hours_mgpu_ms": 4 * _HOUR,
                 "hours_from": "2027-01-20T05:00:00Z"}],
        "co_working": [_WINDOW], "office_hours": [], "blackouts": [],
    },
    "text/plain": "gpulab_books_up 1.0",
    "text/calendar": "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n...\r\nEND:VCALENDAR\r\n",
    "RuleIn": {"reason": "more time for the review", "rule": _RULE},
    "RuleOut": _RULE_OUT,
    "RulePage": {"entries": [_RULE_OUT], "next": None},
    "/healthz": {"status": "ok"},
    "/readyz": {"status": "ok"},
    "/v1/openapi.json": {"openapi": "3.1.0"},
}  # fmt: skip

PROBLEM_EXAMPLES: dict[int, dict[str, Any]] = {
    401: {"code": "not_signed_in", "title": "Not signed in",
          "detail": "Send a JupyterHub token in the header `Authorization: token T`."},
    403: {"code": "forbidden", "title": "Not allowed",
          "detail": "Only organizers may do this."},
    404: {"code": "no_such_account", "title": "Unknown account",
          "detail": "The lab knows nobody of this name."},
    409: {"code": "insufficient_balance", "title": "Not enough GPU-hours",
          "detail": "You have 0.05 GPU-hours left; a start needs 0.08.",
          "retry_at": _WEEK_ENDS, "ask": "Ask an organizer of your program."},
    412: {"code": "stale_edit", "title": "It was changed meanwhile",
          "detail": "Somebody else changed this meanwhile. Read it again, then change it."},
    413: {"code": "too_large", "title": "The request is too large",
          "detail": "A request may have at most 65536 bytes."},
    422: {"code": "invalid_request", "title": "The request is not understood",
          "detail": "Something in the request is missing or wrong; `errors` names it.",
          "errors": [{"where": "body.hours", "what": "Field required"}]},
    428: {"code": "precondition_required", "title": "Say what you change",
          "detail": "Send the ETag that you read in `If-Match`."},
    429: {"code": "too_many_requests", "title": "Too many requests",
          "detail": "You, or a program of yours, asks faster than the lab allows. Wait a second."},
    503: {"code": "unavailable", "title": "The books do not answer",
          "detail": "The books do not answer just now. Try again in a few seconds."},
}  # fmt: skip
