"""What turns the engine's socket into the host: refused by the gate, and real without it.

Each request is one that a hub in wrong hands would make. Without the gate the engine takes it,
which shows that the request is right; what that makes is removed again.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import docker
import pytest

from tests.engine import BASE_IMAGE, Engine
from tests.gate.rig import (
    ENGINE,
    RunningGate,
    ask,
    ask_raw,
    creation,
    policy_for,
    running_gate,
)

pytestmark = pytest.mark.docker

V = "/v1.41"

# As the threat model has them: the machine's own parts, in a container of the lab's looks.
ESCAPES: dict[str, dict[str, Any]] = {
    "privileged": {"Privileged": True},
    "privileged in another case": {"privileged": True},
    "the machine's root folder": {"Binds": ["/:/host:rw"]},
    "the machine's root folder as a mount": {
        "Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]
    },
    "a volume that is the machine's root folder": {
        "Mounts": [{"Type": "volume", "Target": "/host", "VolumeOptions": {"DriverConfig": {
            "Name": "local", "Options": {"type": "none", "o": "bind", "device": "/"}}}}]
    },
    "the engine's own socket": {"Binds": [f"{ENGINE}:/var/run/docker.sock:ro"]},
    "capabilities": {"CapAdd": ["SYS_ADMIN"]},
    "no box of system calls": {"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]},
    "the machine's processes": {"PidMode": "host"},
    "the machine's memory segments": {"IpcMode": "host"},
    "the machine's network": {"NetworkMode": "host"},
    "the machine's control groups": {"CgroupParent": "/"},
    "all devices": {"DeviceCgroupRules": ["a *:* rwm"]},
    "a disk": {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/sda",
                            "CgroupPermissions": "rwm"}]},
    "unmasked kernel files": {"MaskedPaths": [], "ReadonlyPaths": []},
    "memory without an end": {"Memory": 0, "MemorySwap": 0},
    "processes without an end": {"PidsLimit": -1},
}  # fmt: skip


@pytest.fixture
def foreign(engine: Engine) -> Iterator[str]:
    """A container that is somebody else's."""
    made = engine.client.create_container(
        BASE_IMAGE, ["sh", "-c", "exec sleep 600"], entrypoint=[], name=f"foreign-{uuid4()}",
        healthcheck={"test": ["NONE"]},
        host_config=engine.client.create_host_config(network_mode="none"),
    )  # fmt: skip
    try:
        engine.client.start(made["Id"])
        yield made["Id"]
    finally:
        engine.client.remove_container(made["Id"], force=True, v=True)


@pytest.mark.parametrize("what", ESCAPES)
def test_p37_no_container_gets_a_part_of_the_machine(gate: RunningGate, what: str) -> None:
    name, body = creation(gate.policy.hub_id, gate.policy.network, HostConfig=ESCAPES[what])
    target = f"{V}/containers/create?name={name}"
    refused = ask(gate.socket, "POST", target, body)
    assert refused.status == 403
    assert refused.message.startswith("the lab's gate refuses this: ")
    assert ask(ENGINE, "GET", f"{V}/containers/{name}/json").status == 404
    assert ask(ENGINE, "POST", target, body).status == 201, "the request would have worked"


def test_p42_an_image_that_is_not_the_labs_does_not_run(gate: RunningGate) -> None:
    engine = gate.engine.client
    tag = f"gpulab-test/{gate.policy.hub_id}"
    engine.tag(BASE_IMAGE, tag, "other")
    try:
        name, body = creation(gate.policy.hub_id, gate.policy.network, Image=f"{tag}:other")
        target = f"{V}/containers/create?name={name}"
        refused = ask(gate.socket, "POST", target, body)
        assert refused.status == 403
        assert "none of those that the lab started with" in refused.message
        assert ask(ENGINE, "POST", target, body).status == 201
        assert ask(ENGINE, "DELETE", f"{V}/containers/{name}").status == 204
    finally:
        engine.remove_image(f"{tag}:other")


def test_p42_a_tag_that_is_moved_later_does_not_change_what_runs(
    engine: Engine, network: str, tmp_path: Path
) -> None:
    tag, approved = f"gpulab-test/{engine.hub_id}", engine.client.inspect_image(BASE_IMAGE)["Id"]
    policy = policy_for(engine, network, images={f"{tag}:latest": approved})
    ran = {}
    with running_gate(tmp_path, engine, policy) as gate:
        made = engine.client.create_container(BASE_IMAGE, ["true"], name=f"gpulab-{uuid4()}",
                                              labels={"gpulab.hub": engine.hub_id})  # fmt: skip
        engine.client.commit(made["Id"], tag, "latest")
        try:
            for where in (gate.socket, ENGINE):
                name, body = creation(engine.hub_id, network, Image=f"{tag}:latest")
                made = ask(where, "POST", f"{V}/containers/create?name={name}", body)
                assert made.status == 201
                ran[where] = engine.client.inspect_container(name)["Image"]
                engine.client.remove_container(name)
        finally:
            engine.client.remove_image(f"{tag}:latest")
    assert ran[gate.socket] == approved
    assert ran[ENGINE] != approved, "without the gate the other image runs"


def test_p37_a_volume_cannot_be_a_folder_of_the_machine(gate: RunningGate) -> None:
    body = {"Name": f"gpulab.{gate.policy.hub_id}.evil", "Driver": "local",
            "DriverOpts": {"type": "none", "o": "bind", "device": "/"}}  # fmt: skip
    assert ask(gate.socket, "POST", f"{V}/volumes/create", body).status == 403
    assert ask(ENGINE, "POST", f"{V}/volumes/create", body).status == 201
    plain = {"Name": f"gpulab.{gate.policy.hub_id}.good"}
    assert ask(gate.socket, "POST", f"{V}/volumes/create", plain).status == 201


def test_p37_nothing_is_run_in_a_session_from_outside(gate: RunningGate, session: str) -> None:
    body = {"Cmd": ["id"], "AttachStdout": True, "Privileged": True, "User": "0"}
    assert ask(gate.socket, "POST", f"{V}/containers/{session}/exec", body).status == 403
    made = ask(ENGINE, "POST", f"{V}/containers/{session}/exec", body)
    assert made.status == 201
    again = f"{V}/exec/{json.loads(made.body)['Id']}/start"
    assert ask(gate.socket, "POST", again, {"Detach": True}).status == 403


@pytest.fixture
def session(gate: RunningGate) -> str:
    """A session that runs, made through the gate."""
    name, body = creation(gate.policy.hub_id, gate.policy.network)
    assert ask(gate.socket, "POST", f"{V}/containers/create?name={name}", body).status == 201
    assert ask(gate.socket, "POST", f"{V}/containers/{name}/start").status == 204
    return name


# In this order, since without the gate they work: the last ones end the container.
FOREIGN = [
    ("GET", "/json", 200),
    ("GET", "/logs?stdout=1", 200),
    ("GET", "/top", 200),
    ("GET", "/archive?path=/etc/passwd", 200),
    ("POST", "/rename?name=gpulab-mine", 0),
    ("POST", "/attach?stream=1&stdin=1", 0),
    ("POST", "/wait", 0),
    ("POST", "/start", 304),
    ("DELETE", "?v=1", 409),
    ("POST", "/kill", 204),
    ("POST", "/stop?t=0", 304),
]


def test_p37_other_containers_are_out_of_reach(gate: RunningGate, foreign: str) -> None:
    for method, rest, _ in FOREIGN:
        for ref in (foreign, foreign[:12]):
            refused = ask(gate.socket, method, f"{V}/containers/{ref}{rest}")
            assert refused.status == 403, (method, rest, refused.body)
    seen = ask(ENGINE, "GET", f"{V}/containers/{foreign}/json")
    assert json.loads(seen.body)["State"]["Running"]
    for method, rest, status in FOREIGN:
        if status:
            without = ask(ENGINE, method, f"{V}/containers/{foreign}{rest}")
            assert without.status == status, (method, rest, without.body)


def test_p37_other_containers_are_not_listed(gate: RunningGate, foreign: str) -> None:
    assert ask(gate.socket, "GET", f"{V}/containers/json?all=1").status == 403
    assert ask(gate.socket, "GET", f"{V}/events?until=1").status == 403
    client = docker.APIClient(base_url=gate.url, version="auto")
    with closing(client):
        ours = client.containers(all=True, filters={"label": [f"gpulab.hub={gate.policy.hub_id}"]})
    assert foreign not in {one["Id"] for one in ours}


def test_p37_a_container_of_old_is_not_started_with_new_rights(
    gate: RunningGate, session: str
) -> None:
    # Before 1.24 the engine takes a whole configuration with the start.
    body = {"Privileged": True, "Binds": ["/:/host"]}
    assert ask(gate.socket, "POST", f"/v1.23/containers/{session}/start", body).status == 403
    assert ask(gate.socket, "POST", f"{V}/containers/{session}/start", body).status == 403


@pytest.mark.parametrize(
    ("method", "target", "unguarded"),
    [
        ("GET", "/info", 200),
        ("GET", "/images/json", 200),
        ("GET", "/networks", 200),
        ("GET", "/volumes", 200),
        ("GET", "/system/df", 200),
        ("POST", "/build", 0),
        ("POST", "/swarm/init", 0),
        ("POST", "/containers/prune", 0),
        ("POST", "/images/create?fromImage=alpine&tag=latest", 0),
        ("POST", "/auth", 0),
        ("POST", "/session", 0),
        ("GET", "/plugins", 200),
    ],
)
def test_p37_the_rest_of_the_engine_is_not_there(
    gate: RunningGate, method: str, target: str, unguarded: int
) -> None:
    assert ask(gate.socket, method, V + target).status == 403
    if unguarded:
        assert ask(ENGINE, method, V + target).status == unguarded


def test_what_is_refused_leaves_a_line_of_what_and_who(gate: RunningGate) -> None:
    before = len(gate.refusals())
    ask(gate.socket, "GET", f"{V}/secrets/{'x' * 3000}")
    line = gate.refusals()[before:]
    assert [(one["event"], one["status"], one["uid"]) for one in line] == [("refused", 403, 0)]
    assert line[0]["request"].startswith("GET /secrets/xxx")
    assert line[0]["pid"] > 0
    assert max(len(one) for one in gate.log.read_text().splitlines()) < 1000


# -- requests that are none -----------------------------------------------------------------------


def smuggling(gate: RunningGate) -> dict[str, bytes]:
    name, body = creation(gate.policy.hub_id, gate.policy.network, HostConfig={"Privileged": True})
    evil = json.dumps(body).encode()
    start = f"POST {V}/containers/create?name={name} HTTP/1.1\r\nHost: x\r\n".encode()
    kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(evil)
    hidden = start + kind + evil
    ping = b"GET /_ping HTTP/1.1\r\nHost: x\r\n"
    size = b"Content-Length: %d\r\n" % len(hidden)
    return {
        "a second request behind the first": ping + b"\r\n" + hidden,
        "chunks": ping + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "chunks and a length": ping + size + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                               + hidden,
        "chunks in disguise": ping + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + hidden,
        "two lengths": ping + b"Content-Length: 0\r\n" + size + b"\r\n" + hidden,
        "a body where none belongs": ping + size + b"\r\n" + hidden,
        "lines of another kind": ping.replace(b"\r\n", b"\n") + b"\n" + hidden,
        "a folded header": ping + b"X: y\r\n Content-Length: 0\r\n\r\n" + hidden,
    }  # fmt: skip


@pytest.mark.parametrize("how", [
    "a second request behind the first", "chunks", "chunks and a length", "chunks in disguise",
    "two lengths", "a body where none belongs", "lines of another kind", "a folded header",
])  # fmt: skip
def test_no_request_travels_inside_another(gate: RunningGate, how: str) -> None:
    sent = smuggling(gate)[how]
    said = ask_raw(gate.socket, sent)
    assert said.count(b"HTTP/1.1 ") <= 1
    assert b"201 Created" not in said
    privileged = [
        one for one in gate.engine.client.containers(
            all=True, filters={"label": [f"gpulab.hub={gate.policy.hub_id}"], "status": "created"})
        if gate.engine.client.inspect_container(one["Id"])["HostConfig"]["Privileged"]
        and one["Names"] == [f"/{_name_in(sent)}"]
    ]  # fmt: skip
    assert privileged == []


def _name_in(sent: bytes) -> str:
    return sent.partition(b"create?name=")[2].partition(b" ")[0].decode()


def test_without_the_gate_a_second_request_is_answered(gate: RunningGate) -> None:
    sent = smuggling(gate)["a second request behind the first"]
    hidden = sent.replace(
        b"Host: x\r\nContent-Type", b"Connection: close\r\nHost: x\r\nContent-Type"
    )
    assert ask_raw(ENGINE, hidden).count(b"HTTP/1.1 2") == 2, "the engine itself takes both"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /_ping HTTP/1.1\r\n" + b"X: " + b"a" * 100_000 + b"\r\n\r\n", b"413"),
        (b"GET /_ping HTTP/1.1\r\n" + b"X: a\r\n" * 20_000 + b"\r\n", b"413"),
        (b"POST /v1.41/containers/create HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", b"413"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
        (b"POST /v1.41/containers/x/attach HTTP/1.1\r\nUpgrade: tcp\r\n\r\n", b"403"),
    ],
)  # fmt: skip
def test_what_is_no_request_of_the_lab_is_answered_once(
    gate: RunningGate, data: bytes, status: bytes
) -> None:
    said = ask_raw(gate.socket, data)
    assert said.startswith(b"HTTP/1.1 " + status)
    assert b'{"message": ' in said
    assert ask(gate.socket, "GET", "/_ping").status == 200
