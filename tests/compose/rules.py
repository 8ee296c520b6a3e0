"""What has to hold for the lab in containers; each rule returns what breaks it."""

from collections.abc import Iterator
from typing import Any

ENGINE = "/var/run/docker.sock"
# The gate validates, the watchdog works when all else is dead, the doctor is run by hand.
MAY_USE_ENGINE = {"gate", "watchdog", "doctor"}
MAY_BE_SEEN = {"caddy"}
# Who writes the machine's rules is on the machine's network; nobody else is.
ON_THE_MACHINE = {"network"}
ON_SESSIONS = {"hub", "proxy", "service"}
# The watchdog has the engine: nobody but who reads its figures reaches it.
ON_WATCH = {"watchdog", "prometheus"}
# Who has a way out, or a look at the addresses of the channels.
OUTSIDE = {"notifier"}
SEES_CHANNELS = {"notifier", "doctor"}
CAPABILITIES = {
    "caddy": {"NET_BIND_SERVICE"},
    "network": {"NET_ADMIN", "NET_RAW"},
    "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"},
}
# Which secrets each program reads, by the names that it sees.
SECRETS = {
    "proxy": {"proxy_token"},
    "hub": {"admission_token", "service_token", "proxy_token", "cookie_secret", "crypt_key",
            "culler_token", "metrics_token", "passwords.json"},
    "culler": {"culler_token"},
    "service": {"admission_token", "service_token", "books_pgpass"},
    "worker": {"service_token", "books_pgpass"},
    "notifier": {"books_pgpass"},
    "migrate": {"owner_pgpass"},
    "doctor": {"books_pgpass"},
    "postgres": {"postgres_owner", "postgres_role"},
    "prometheus": {"metrics_token"},
    "grafana": {"grafana_password"},
}  # fmt: skip
RUN_ONCE = {"migrate", "doctor"}


def faults(lab: dict[str, Any]) -> list[str]:
    """Name everything that is not as it has to be."""
    found = [fault for name, one in lab["services"].items() for fault in _of_one(name, one)]
    sessions = lab["networks"]["sessions"]
    if sessions["driver_opts"]["com.docker.network.bridge.enable_icc"] != "false":
        found.append("sessions could reach each other")
    found += [f"the network {name} of the programs leads out" for name in ("lab", "watch")
              if not lab["networks"][name].get("internal")]  # fmt: skip
    return found


def _of_one(name: str, one: dict[str, Any]) -> Iterator[str]:
    yield from _boxed(name, one)
    yield from _reach(name, one)
    if "@sha256:" not in one["image"]:
        yield f"{name}: its image is none by digest"
    seen = {secret["target"].rpartition("/")[2] for secret in one.get("secrets", ())}
    if seen != SECRETS.get(name, set()):
        yield f"{name}: it has the secrets {sorted(seen)}"
    if name not in RUN_ONCE:
        if one.get("restart") != "unless-stopped":
            yield f"{name}: it stays dead"
        if not one.get("healthcheck", {}).get("test"):
            yield f"{name}: nobody looks whether it is well"


def _boxed(name: str, one: dict[str, Any]) -> Iterator[str]:
    if one.get("privileged"):
        yield f"{name}: it is privileged"
    if one.get("cap_drop") != ["ALL"] or set(one.get("cap_add", ())) != CAPABILITIES.get(
        name, set()
    ):
        yield f"{name}: its capabilities"
    if one.get("security_opt") != ["no-new-privileges:true"]:
        yield f"{name}: it can gain rights"
    if not one.get("pids_limit") or "max-size" not in one.get("logging", {}).get("options", {}):
        yield f"{name}: its processes or logs have no end"


def _reach(name: str, one: dict[str, Any]) -> Iterator[str]:
    if one.get("ports") and name not in MAY_BE_SEEN:
        yield f"{name}: it has a port that is open"
    on_machine = one.get("network_mode") == "host"
    if on_machine != (name in ON_THE_MACHINE) or one.get("pid") == "host" or one.get("ipc"):
        yield f"{name}: it shares the machine's namespaces"
    networks = one.get("networks", {})
    for network, members, what in (
        ("sessions", ON_SESSIONS, "its place on the network of the sessions"),
        ("watch", ON_WATCH, "its place on the network of the watchdog"),
        ("outside", OUTSIDE, "its way to the outside"),
    ):
        if (network in networks) != (name in members):
            yield f"{name}: {what}"
    if name == "watchdog" and len(networks) > 1:
        yield f"{name}: it can be reached by others"
    yield from _sees(name, one)


def _sees(name: str, one: dict[str, Any]) -> Iterator[str]:
    for volume in one.get("volumes", ()):
        if volume["source"].endswith("/channels") and name not in SEES_CHANNELS:
            yield f"{name}: it sees the addresses of the channels"
        is_engine = volume["source"].endswith("docker.sock") or volume["target"] == ENGINE
        if is_engine and name not in MAY_USE_ENGINE:
            yield f"{name}: it has the engine's socket"
        if volume["type"] == "bind" and not is_engine and not volume.get("read_only"):
            yield f"{name}: it can write to {volume['source']}"
