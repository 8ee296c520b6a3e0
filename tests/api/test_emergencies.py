"""What the hub tells of an emergency, at the service's door; and what organizers see of it."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.desk import ApiDesk

EMERGENCY = {"hub_id": "main", "opened_by": "olga", "reason": "the database is away",
             "opened_at": "2026-11-25T11:00:00.123456Z",
             "until": "2026-11-25T13:00:00.123456Z"}  # fmt: skip
START = {"account": "ada", "server_name": "", "flavor": "whole", "gpu_uuid": "GPU-0",
         "started_at": "2026-11-25T11:30:00Z", "ends_at": "2026-11-25T13:00:00Z"}  # fmt: skip


def tell(service: ApiDesk, path: str, body: dict[str, Any]) -> int:
    return service.call("PUT", f"/v1/emergencies/{path}", json=body).status_code


def metric(service: ApiDesk, name: str) -> float | None:
    registry = service.app.state.metrics.registry
    value: float | None = registry.get_sample_value(name)
    return value


def test_told_twice_it_counts_once_and_has_its_place_and_its_metrics(service: ApiDesk) -> None:
    assert metric(service, "gpulab_emergency_open") == 0
    one, lease_id = uuid4(), uuid4()
    for _ in range(2):
        assert tell(service, str(one), EMERGENCY) == 200
        assert tell(service, f"{one}/starts/{lease_id}", START) == 200
    assert metric(service, "gpulab_emergency_open") == 1
    assert metric(service, "gpulab_emergency_starts_total") == 1
    found = service.get("/v1/gpus")
    assert found.status_code == 200, found.text
    (on,) = found.json()["occupied"]
    assert (on["lease_id"], on["account"], on["is_starting"]) == (str(lease_id), "ada", True)
    actions = [line["action"] for line in service.get("/v1/audit", "token-olga").json()["lines"]]
    assert actions == ["emergency.open", "emergency.start"]
    closed = EMERGENCY | {"closed_by": "olga", "closed_at": "2026-11-25T11:50:00Z"}
    assert tell(service, str(one), closed) == 200
    assert metric(service, "gpulab_emergency_open") == 0


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"until": "2026-11-25T15:00:01Z"}, 422),
        ({"reason": ""}, 422),
        ({"opened_at": "2026-11-25T11:00:00"}, 422),
        ({"hub_id": "other"}, 404),
        ({"more": 1}, 422),
    ],
)
def test_what_no_hub_of_ours_would_tell_is_refused(
    service: ApiDesk, changed: dict[str, object], status: int
) -> None:
    assert tell(service, str(uuid4()), EMERGENCY | changed) == status
    assert service.get("/v1/audit", "token-olga").json()["lines"] == []


def test_a_start_of_an_emergency_that_was_not_told_is_not_there(service: ApiDesk) -> None:
    assert tell(service, f"{uuid4()}/starts/{uuid4()}", START) == 404
