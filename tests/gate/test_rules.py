"""The list of what is let through, without an engine."""

import json
from typing import Any

import pytest

from gate.errors import Refused
from gate.heads import parse_head
from gate.policy import Policy
from gate.rules import Ask, AskForSession, Look, Step, decide
from tests.engine import BASE_IMAGE
from tests.gate.rig import GPU, creation

IMAGE = f"sha256:{'ab' * 32}"
POLICY = Policy(hub_id="main", network="gpulab", images={BASE_IMAGE: IMAGE},
                folders=frozenset({"/srv/data"}), gpus=frozenset({GPU}),
                most_memory_bytes=8 << 30)  # fmt: skip
OURS = '{"label": ["gpulab.hub=main"]}'
ID = "f" * 64


def decided(method: str, target: str, body: bytes = b"") -> Step:
    lines = f"{method} {target} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n"
    return decide(parse_head(lines.encode()), body, POLICY)


def escaped(text: str) -> str:
    return text.replace(" ", "%20").replace('"', "%22").replace("{", "%7B").replace("}", "%7D")


def created(**more: Any) -> dict[str, Any]:
    name, body = creation("main", "gpulab", **more)
    step = decided("POST", f"/v1.41/containers/create?name={name}", json.dumps(body).encode())
    assert isinstance(step, Ask)
    assert step.target == f"/v1.41/containers/create?name={name}"
    made: dict[str, Any] = json.loads(step.body)
    return made


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/_ping"),
        ("HEAD", "/_ping"),
        ("GET", "/version"),
        ("GET", f"/v1.41/containers/json?all=1&limit=-1&filters={escaped(OURS)}"),
        ("GET", f"/v1.41/images/{IMAGE}/json"),
        ("POST", "/v1.41/images/create?fromImage=gpulab/base&tag=latest"),
        ("GET", "/v1.41/events?since=1700000000.000000000&filters=" + escaped(
            '{"type": ["container"], "event": ["die"], "label": ["gpulab.hub=main"]}')),
    ],
)  # fmt: skip
def test_what_the_lab_needs_is_asked(method: str, target: str) -> None:
    step = decided(method, target)
    assert isinstance(step, Ask)
    assert (step.method, step.body) == (method, b"")
    assert step.target.partition("?")[0] == target.partition("?")[0]


def test_p42_an_image_is_shown_as_it_was_when_the_lab_started() -> None:
    step = decided("GET", f"/v1.41/images/{BASE_IMAGE}/json")
    assert step == Ask(method="GET", target=f"/v1.41/images/{IMAGE}/json")


def test_what_is_asked_of_a_session_is_asked_by_the_id_that_was_looked_at() -> None:
    step = decided("POST", "/v1.41/containers/gpulab-x/stop?t=20")
    assert isinstance(step, AskForSession)
    assert step.ask(ID) == Ask(method="POST", target=f"/v1.41/containers/{ID}/stop?t=20")
    look = decided("GET", "/v1.41/containers/gpulab-x/json")
    assert isinstance(look, Look)
    gone = decided("DELETE", "/v1.41/containers/x?v=True&link=False&force=False")
    assert isinstance(gone, AskForSession)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/info"),
        ("GET", "/v1.41/containers/json"),
        ("GET", "/v1.41/containers/json?filters=%7B%7D"),
        ("GET", "/v1.41/containers/json?filters=%5B%5D"),
        ("GET", f"/v1.41/containers/json?filters={escaped(OURS)}&before=x"),
        ("GET", "/v1.41/events"),
        ("GET", f"/v1.41/events?filters={escaped(OURS)}"),
        ("POST", "/v1.41/containers/x/exec"),
        ("POST", "/v1.41/exec/x/start"),
        ("POST", "/v1.41/containers/x/attach?stream=1"),
        ("GET", "/v1.41/containers/x/attach/ws"),
        ("POST", "/v1.41/containers/x/update"),
        ("POST", "/v1.41/containers/x/rename?name=y"),
        ("POST", "/v1.41/containers/x/pause"),
        ("PUT", "/v1.41/containers/x/archive?path=/"),
        ("GET", "/v1.41/containers/x/archive?path=/etc/shadow"),
        ("GET", "/v1.41/containers/x/export"),
        ("POST", "/v1.41/containers/x/start?detachKeys=a"),
        ("POST", "/v1.41/containers/x/kill?signal=SIGSTOP"),
        ("DELETE", "/v1.41/containers/x?force=1"),
        ("POST", "/v1.41/containers/prune"),
        ("POST", "/v1.41/build"),
        ("POST", "/v1.41/commit?container=x"),
        ("GET", "/v1.41/images/json"),
        ("GET", "/v1.41/images/alpine/json"),
        ("POST", "/v1.41/images/create?fromImage=alpine&tag=latest"),
        ("POST", "/v1.41/images/create?fromImage=gpulab/base"),
        ("POST", "/v1.41/images/create?fromSrc=-"),
        ("POST", "/v1.41/images/load"),
        ("DELETE", f"/v1.41/images/{BASE_IMAGE}"),
        ("DELETE", "/v1.41/volumes/gpulab.main.ada"),
        ("POST", "/v1.41/networks/create"),
        ("POST", "/v1.41/networks/host/connect"),
        ("POST", "/v1.41/plugins/pull?remote=x"),
        ("POST", "/v1.41/swarm/init"),
        ("POST", "/v1.41/services/create"),
        ("GET", "/v1.41/secrets"),
        ("POST", "/session"),
        ("POST", "/grpc"),
    ],
)
def test_everything_else_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        decided(method, target)


def test_a_body_is_refused_where_none_belongs() -> None:
    with pytest.raises(Refused, match="body"):
        decided("POST", "/v1.41/containers/x/start", b'{"Privileged": true}')


# -- creating -----------------------------------------------------------------------------------


def test_a_sessions_container_is_asked_for_with_the_image_that_the_lab_started_with() -> None:
    made = created()
    assert made["Image"] == IMAGE
    assert made["HostConfig"]["CapDrop"] == ["ALL"]
    assert created(Image=IMAGE)["Image"] == IMAGE


@pytest.mark.parametrize(
    "more",
    [
        {"HostConfig": {"Binds": ["/srv/data:/data:ro"]}},
        {"HostConfig": {"Binds": ["gpulab.main.ada:/home/scholar:ro"]}},
        {"HostConfig": {"ReadonlyRootfs": True, "Init": True, "ShmSize": 1, "Mounts": []}},
        {"HostConfig": {"DeviceRequests": [{"Driver": "", "Count": 0, "DeviceIDs": [GPU],
                                            "Capabilities": [["gpu"]], "Options": {}}]},
         "Env": [f"NVIDIA_VISIBLE_DEVICES={GPU}"]},
        {"HostConfig": {"DeviceRequests": [{"Driver": "cdi",
                                            "DeviceIDs": [f"nvidia.com/gpu={GPU}"]}]}},
        {"User": "1000:100"},
    ],
)  # fmt: skip
def test_what_a_session_may_have(more: dict[str, Any]) -> None:
    made = created(**more)
    assert all(made["HostConfig"].get(k) == v for k, v in more.get("HostConfig", {}).items())


WRONG_BODIES: list[dict[str, Any]] = [
    {"Image": "alpine:latest"},
    {"Image": f"sha256:{'cd' * 32}"},
    {"image": "alpine:latest"},
    {"User": "0"},
    {"User": "root"},
    {"User": "0:0"},
    {"User": "1000:0"},
    {"Entrypoint": "sh"},
    {"Labels": {"gpulab.hub": "other"}},
    {"Labels": {"gpulab.lease": "not-one"}},
    {"Labels": {"gpulab.lease": "8d6ff0b4-3d1c-4a0a-9d0e-0f4c35f3b9a1"}},
    {"NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}},
    {"MacAddress": "02:42:ac:11:00:02"},
    {"Env": []},
    {"Env": ["NVIDIA_VISIBLE_DEVICES=all"]},
    {"Env": [f"NVIDIA_VISIBLE_DEVICES={GPU}"]},
    {"Env": ["NVIDIA_VISIBLE_DEVICES=void", "NVIDIA_VISIBLE_DEVICES=all"]},
    {"Env": ["NVIDIA_VISIBLE_DEVICES=void", "LD_PRELOAD=/x.so"]},
    {"Env": ["NVIDIA_VISIBLE_DEVICES=void", "NVIDIA_MIG_CONFIG_DEVICES=all"]},
]
WRONG_HOSTS: list[dict[str, Any]] = [
    {"Privileged": True},
    {"privileged": True},
    {"CapAdd": ["SYS_ADMIN"]},
    {"CapDrop": None},
    {"CapDrop": []},
    {"CapDrop": ["NET_RAW"]},
    {"SecurityOpt": []},
    {"SecurityOpt": ["no-new-privileges:false"]},
    {"SecurityOpt": ["no-new-privileges:true", "seccomp=unconfined"]},
    {"SecurityOpt": ["no-new-privileges:true", "apparmor=unconfined"]},
    {"MaskedPaths": []},
    {"ReadonlyPaths": []},
    {"PidMode": "host"},
    {"PidMode": "container:other"},
    {"IpcMode": "host"},
    {"UTSMode": "host"},
    {"UsernsMode": "host"},
    {"CgroupnsMode": "host"},
    {"CgroupParent": "/"},
    {"NetworkMode": "host"},
    {"NetworkMode": "bridge"},
    {"NetworkMode": "container:other"},
    {"Runtime": "nvidia"},
    {"Sysctls": {"net.ipv4.ip_forward": "1"}},
    {"GroupAdd": ["docker"]},
    {"OomKillDisable": True},
    {"OomScoreAdj": -1000},
    {"Memory": 0},
    {"Memory": True},
    {"Memory": 1 << 40, "MemorySwap": 1 << 40},
    {"MemorySwap": -1},
    {"PidsLimit": None},
    {"PidsLimit": -1},
    {"PidsLimit": 5000},
    {"CpuQuota": None},
    {"Binds": ["/:/host:rw"]},
    {"Binds": ["/var/run/docker.sock:/var/run/docker.sock:ro"]},
    {"Binds": ["/srv/data:/data:rw"]},
    {"Binds": ["/srv/data:/data"]},
    {"Binds": ["/srv/data/..:/data:ro"]},
    {"Binds": ["/srv/data/:/data:ro"]},
    {"Binds": ["gpulab.other.ada:/home/scholar:rw"]},
    {"Binds": ["gpulab.main.:/home/scholar:rw"]},
    {"Binds": ["gpulab.main.../../x:/home/scholar:rw"]},
    {"Binds": ["gpulab.main.ada:/home/scholar:rw,rshared"]},
    {"Binds": ["postgres-data:/home/scholar:rw"]},
    {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/host"}]},
    {"Mounts": [{"Type": "volume", "Source": "gpulab.main.x", "Target": "/host", "VolumeOptions":
                 {"DriverConfig": {"Options": {"type": "none", "o": "bind", "device": "/"}}}}]},
    {"VolumesFrom": ["other"]},
    {"VolumeDriver": "nfs"},
    {"Devices": [{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda",
                  "CgroupPermissions": "rwm"}]},
    {"DeviceCgroupRules": ["b *:* rwm"]},
    {"DeviceRequests": [{"Count": -1, "Capabilities": [["gpu"]]}]},
    {"DeviceRequests": [{"DeviceIDs": ["0"], "Capabilities": [["gpu"]]}]},
    {"DeviceRequests": [{"DeviceIDs": [GPU], "Capabilities": [["gpu", "utility"]]}]},
    {"Links": ["postgres"]},
    {"PortBindings": {"8888/tcp": [{"HostPort": "80"}]}},
    {"PublishAllPorts": True},
    {"ExtraHosts": ["hub:10.0.0.1"]},
    {"LogConfig": {"Type": "syslog"}},
    {"LogConfig": {"Config": {"max-size": "10g"}}},
    {"RestartPolicy": {"Name": "always"}},
    {"AutoRemove": True},
    {"StorageOpt": {"device": "/dev/sda"}},
    {"Ulimits": [{"Name": "memlock", "Soft": -1, "Hard": -1}]},
    {"Unheard": 1},
]  # fmt: skip


@pytest.mark.parametrize("more", WRONG_BODIES + [{"HostConfig": one} for one in WRONG_HOSTS],
                         ids=json.dumps)  # fmt: skip
def test_p37_what_no_session_may_have(more: dict[str, Any]) -> None:
    created()
    with pytest.raises(Refused):
        created(**more)


def test_a_name_or_label_that_is_missing_is_refused() -> None:
    name, body = creation("main", "gpulab")
    for target in ("/v1.41/containers/create", "/v1.41/containers/create?name=postgres",
                   f"/v1.41/containers/create?name={name}&platform=x"):  # fmt: skip
        with pytest.raises(Refused):
            decided("POST", target, json.dumps(body).encode())
    for label in body["Labels"]:
        rest = {key: value for key, value in body["Labels"].items() if key != label}
        with pytest.raises(Refused, match=label):
            decided("POST", f"/v1.41/containers/create?name={name}",
                    json.dumps({**body, "Labels": rest}).encode())  # fmt: skip


def test_of_two_equal_fields_the_engine_sees_the_one_that_was_checked() -> None:
    name, body = creation("main", "gpulab")
    text = json.dumps(body)
    doubled = text.replace('"HostConfig": {', '"HostConfig": {"Privileged": true, ', 1)
    doubled = doubled.replace('"NetworkMode"', '"Privileged": false, "NetworkMode"', 1)
    step = decided("POST", f"/v1.41/containers/create?name={name}", doubled.encode())
    assert isinstance(step, Ask)
    assert step.body.count(b'"Privileged": false') == 1
    assert b"true" not in step.body.replace(b"no-new-privileges:true", b"")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{", b'{"Image": NaN}', b"[" * 50_000, b"\xff"]
)
def test_a_body_that_is_none_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        decided("POST", "/v1.41/containers/create?name=x", body)


def test_a_volume_is_a_plain_one_with_a_name_of_the_lab() -> None:
    wanted = {"Name": "gpulab.main.ada", "Driver": None, "DriverOpts": None, "Labels": {"a": "b"}}
    step = decided("POST", "/v1.41/volumes/create", json.dumps(wanted).encode())
    assert isinstance(step, Ask)
    assert json.loads(step.body) == wanted
    others: list[dict[str, object]] = [
        {"Name": "postgres-data"}, {"Driver": "nfs"}, {"ClusterVolumeSpec": {}},
        {"DriverOpts": {"type": "none", "o": "bind", "device": "/"}},
    ]  # fmt: skip
    for more in others:
        with pytest.raises(Refused):
            decided("POST", "/v1.41/volumes/create", json.dumps({**wanted, **more}).encode())
