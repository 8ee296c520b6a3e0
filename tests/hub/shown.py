"""Replies of the service as pages get them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hub.replies import Account, Flavor, SpawnOptions
from tests.quota.books import NOON

LEASE = UUID(int=7)
RESET = NOON.replace(day=30, hour=5)


def account(**changed: Any) -> Account:
    plain: dict[str, Any] = {
        "account": "ada", "section": "utc", "time_zone": "America/New_York", "resets_at": RESET,
        "balance_hours": "9.75", "held_mgpu_ms": 0, "debt_mgpu_ms": 0, "sessions": [],
        "notices": [], "server_time": NOON,
    }  # fmt: skip
    return Account.model_validate(plain | changed)


def session(**changed: Any) -> dict[str, Any]:
    plain = {"lease_id": LEASE, "server_name": "", "flavor": "whole", "state": "active",
             "weight_mgpu": 1000, "started_at": NOON, "charged_mgpu_ms": 0,
             "ends_at": NOON + timedelta(minutes=90)}  # fmt: skip
    return plain | changed


def notice(kind: str = "warning", text: str = "5 minutes left.", **ago: float) -> dict[str, Any]:
    return {"kind": kind, "text": text, "at": NOON - timedelta(**ago)}


def flavor(name: str = "whole", **changed: Any) -> Flavor:
    plain: dict[str, Any] = {
        "name": name, "title": f"The {name}", "description": "", "is_gpu": True,
        "weight_mgpu": 1000, "free_slots": 1, "total_slots": 2, "lasts_s": 35_100,
        "may_start": True, "refusal": None,
    }  # fmt: skip
    return Flavor.model_validate(plain | changed)


def options(*flavors: Flavor, **changed: Any) -> SpawnOptions:
    return SpawnOptions(account=account(**changed), flavors=list(flavors), images=[])
