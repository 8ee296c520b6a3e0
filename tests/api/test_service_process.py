"""The service as real processes: parallel admissions, a hanging database, start and end."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from sqlalchemy import Engine, text

from quota.store.engine import open_engine, reading
from quota.store.migrate import upgrade
from tests.api.desk import url_of
from tests.api.processes import (
    HEADERS,
    ROOT,
    ServiceProcess,
    lab_environment,
    service_process,
    service_processes,
)
from tests.quota.books import LAB_YAML, Desk, gpu, make_lab

PARALLEL = 50


def _one_step_yaml(accounts: list[str]) -> str:
    """Ten minutes on a whole GPU and nothing more, for fifty sessions side by side."""
    return LAB_YAML.replace(
        "scholars: [ada, blaise, chen, dina], hours_per_week: 10",
        f"scholars: [{', '.join(accounts)}], hours_per_week: 10 min",
    ) + "policy: {sessions_per_scholar: 50, max_spawning: 1000}\n"  # fmt: skip


def _ask(client: httpx2.Client, url: str, account: str, server: str) -> httpx2.Response:
    wanted = {"hub_id": "main", "account": account, "server_name": server, "flavor": "whole",
              "image": "base"}  # fmt: skip
    return client.put(f"{url}/v1/leases/{uuid4()}", json=wanted, headers=HEADERS, timeout=30)


def _rounds(engine: Engine, folder: Path, accounts: list[str]) -> None:
    lab_yaml = _one_step_yaml(accounts)
    desk = Desk(engine, lab=make_lab(lab_yaml))
    desk.books.set_inventory([gpu(f"GPU-{number}") for number in range(len(accounts) + 50)])
    environment = lab_environment(url_of(engine), folder, lab_yaml)
    limits = httpx2.Limits(max_connections=PARALLEL)
    with (
        service_processes(environment, 4) as services,
        httpx2.Client(limits=limits) as client,
        ThreadPoolExecutor(PARALLEL) as pool,
    ):
        for account in accounts:
            asked = [
                pool.submit(_ask, client, services[number % 4].url, account, f"s{number}")
                for number in range(PARALLEL)
            ]
            replies = [one.result() for one in asked]
            codes = [one.json().get("code") for one in replies if one.status_code == 409]
            states = [one.json()["state"] for one in replies if one.status_code == 200]
            assert states == ["held"], account
            assert codes == ["insufficient_balance"] * (PARALLEL - 1), account
            shown = client.get(f"{services[0].url}/v1/accounts/{account}", headers=HEADERS).json()
            assert shown["available_mgpu_ms"] == 0
            assert shown["held_mgpu_ms"] == 600 * 1_000_000
    desk.check()


def test_p01_parallel_starts_never_over_commit(engine: Engine, tmp_path: Path) -> None:
    _rounds(engine, tmp_path, ["ada", "blaise", "chen", "dina"])


@pytest.mark.long
def test_p01_parallel_starts_never_over_commit_in_a_hundred_rounds(
    engine: Engine, tmp_path: Path
) -> None:
    _rounds(engine, tmp_path, [f"scholar-{number}" for number in range(100)])


@contextmanager
def _locked(database: str) -> Iterator[None]:
    holder = sqlite3.connect(database, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextmanager
def _frozen(engine: Engine) -> Iterator[None]:
    """Stop every process of the server; the connections of this process are theirs too."""
    with reading(engine) as tx:
        folder = Path(tx.execute(text("SHOW data_directory")).scalar_one())
    main = int((folder / "postmaster.pid").read_text().split()[0])
    children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(main)], check=True,
                              capture_output=True, text=True).stdout.split()  # fmt: skip
    pids = [main, *map(int, children)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def _timed_ask(client: httpx2.Client, service: ServiceProcess) -> tuple[httpx2.Response, float]:
    began = time.monotonic()
    reply = _ask(client, service.url, "ada", "")
    return reply, time.monotonic() - began


def test_p08_a_hanging_database_hangs_nobody(engine: Engine, tmp_path: Path) -> None:
    Desk(engine)
    environment = lab_environment(url_of(engine), tmp_path, LAB_YAML)
    is_sqlite = engine.dialect.name == "sqlite"
    hang = _locked(str(engine.url.database)) if is_sqlite else _frozen(engine)
    with service_process(environment) as service, httpx2.Client() as client:
        assert _ask(client, service.url, "blaise", "").status_code == 200
        # More than the service has threads, so that they are all caught in the database.
        with hang, ThreadPoolExecutor(60) as pool:
            asked = [pool.submit(_timed_ask, client, service) for _ in range(60)]
            time.sleep(1.0)
            began = time.monotonic()
            assert httpx2.get(f"{service.url}/healthz", timeout=5).status_code == 200
            assert time.monotonic() - began <= 1.0
            for reply, took_s in [one.result() for one in asked]:
                assert reply.status_code == 503, reply.text
                assert reply.json()["code"] == "unavailable"
                assert 1 <= int(reply.headers["retry-after"]) <= 5
                assert took_s <= 5.0
            assert client.get(f"{service.url}/readyz", timeout=6).status_code == 503
        until = time.monotonic() + 15
        while (again := _ask(client, service.url, "chen", "")).status_code == 503:
            assert time.monotonic() < until, "it recovers by itself"
        assert again.status_code == 200
        assert client.get(f"{service.url}/readyz", timeout=6).status_code == 200
    Desk(engine).check()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_log_is_json_and_the_end_is_orderly(engine: Engine, tmp_path: Path) -> None:
    Desk(engine)
    environment = lab_environment(url_of(engine), tmp_path, LAB_YAML)
    with service_process(environment) as service, httpx2.Client() as client:
        long = "x" * 100_000
        reply = client.get(f"{service.url}/v1/accounts/{'y' * 20_000}", headers=HEADERS)
        assert reply.status_code == 422
        reply = client.put(f"{service.url}/v1/leases/{uuid4()}", content=long, headers=HEADERS)
        assert reply.status_code == 413
        assert _ask(client, service.url, "ada\x00", "").status_code == 422
        service.process.terminate()
        assert service.process.wait(timeout=15) in (0, -signal.SIGTERM)
        lines = service.log.read_text().splitlines()
    assert lines
    events = [json.loads(line) for line in lines]
    assert all(event["process"] == "service" for event in events)
    assert max(map(len, lines)) <= 1024
    assert {event["status"] for event in events if event["event"] == "request"} == {413, 422}


def _start(environment: dict[str, str], module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", module], cwd=ROOT, env=environment, text=True,
                          capture_output=True, timeout=60, check=False)  # fmt: skip


@pytest.mark.parametrize("module", ["api.serve", "api.worker"])
def test_what_cannot_start_says_why_in_one_sentence(tmp_path: Path, module: str) -> None:
    url = f"sqlite:///{tmp_path}/books.sqlite"
    good = lab_environment(url, tmp_path, LAB_YAML)
    _cannot_start(module, good, "gpulab migrate")
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    missing = {name: good[name] for name in good if name != "GPULAB_DATABASE_URL"}
    _cannot_start(module, missing, "GPULAB_DATABASE_URL is not set")
    wrong = good | {"GPULAB_LAB_FILE": str(tmp_path / "none.yaml")}
    _cannot_start(module, wrong, "none.yaml: cannot be read")


def _cannot_start(module: str, environment: dict[str, str], words: str) -> None:
    ended = _start(environment, module)
    assert ended.returncode == 1, ended
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout
