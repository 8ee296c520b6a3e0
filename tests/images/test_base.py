"""The image that CI builds: its smoke, and what is not to be found in it."""

import json
from collections.abc import Iterator

import pytest

from tests.engine import BASE_IMAGE, Engine, throwaway_engine

pytestmark = pytest.mark.docker

SMOKE_S = 120


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as one:
        yield one


def _output(engine: Engine, *command: str) -> tuple[int, str]:
    """Run a command in the image as a session would, without network."""
    host = engine.client.create_host_config(
        network_mode="none", cap_drop=["ALL"], security_opt=["no-new-privileges:true"], init=True
    )
    made = engine.client.create_container(
        BASE_IMAGE, list(command), host_config=host, labels={"gpulab.hub": engine.hub_id}
    )
    engine.client.start(made["Id"])
    status = engine.client.wait(made["Id"], timeout=SMOKE_S)["StatusCode"]
    return status, engine.client.logs(made["Id"]).decode()


def _found(engine: Engine, *what: str) -> list[str]:
    """Return the files that a session finds; some folders of the system are not its to read."""
    _, text = _output(engine, "find", what[0], "-xdev", *what[1:])
    return [line for line in text.splitlines() if not line.startswith("find: ")]


def test_the_smoke_of_the_base_image_passes(engine: Engine) -> None:
    status, text = _output(engine, "python", "/srv/smoke/base.py")
    assert status == 0, text
    assert text.strip().endswith("base: ok")


def test_the_smoke_fails_where_an_extension_is_missing(engine: Engine) -> None:
    without = "sed 's/git-pull/git-nothing/' /srv/smoke/base.py | python -"
    status, text = _output(engine, "sh", "-c", without)
    assert status != 0
    assert "an extension is missing" in text


def test_p37_nothing_in_the_image_gives_rights(engine: Engine) -> None:
    assert _found(engine, "/", "-perm", "/6000", "-type", "f") == []
    assert "/usr/bin/git" in _found(engine, "/usr", "-perm", "/111", "-name", "git")


def test_nothing_of_the_machine_that_built_it_is_in_the_image(engine: Engine) -> None:
    told = json.dumps([engine.client.history(BASE_IMAGE), engine.client.inspect_image(BASE_IMAGE)])
    for word in ("index-url", "index_url", "trusted-host", "BEGIN CERTIFICATE", "_authToken"):
        assert word not in told
    assert _found(engine, "/", "(", "-name", "pip.conf", "-o", "-name", ".npmrc", ")") == []


def test_jupyterlab_asks_nobody_about_its_news(engine: Engine) -> None:
    read = "from jupyterlab.commands import get_app_dir; print(open(get_app_dir() + {!r}).read())"
    status, text = _output(engine, "python", "-c", read.format("/settings/overrides.json"))
    assert status == 0, text
    notification = json.loads(text)["@jupyterlab/apputils-extension:notification"]
    assert notification == {"checkForUpdates": False, "fetchNews": "false"}


def test_the_image_says_what_it_is(engine: Engine) -> None:
    labels = engine.client.inspect_image(BASE_IMAGE)["Config"]["Labels"]
    told = {"title", "description", "version", "created", "base.name"}
    assert {f"org.opencontainers.image.{one}" for one in told} <= set(labels)
    assert "gpulab.source" in labels


def test_scholars_scripts_find_the_command_and_the_package(engine: Engine) -> None:
    status, text = _output(engine, "gpulab-session", "left")
    assert (status, "no session of a lab" in text) == (4, True), text
    words = "import gpulab_session as g; g.passed('week-4'); print(0 < g.budget(1).left_s() <= 60)"
    status, text = _output(engine, "python", "-c", words)
    assert (status, text.splitlines()[-1]) == (0, "True"), text
    assert text.startswith("week-4 is passed.")


@pytest.mark.long
def test_p34_a_session_keeps_its_visitors_with_the_real_jupyter_collaboration(
    engine: Engine,
) -> None:
    """The contract with jupyter-collaboration's private parts."""
    status, text = _output(engine, "python", "/srv/smoke/visitors.py")
    assert status == 0, text
    assert text.strip().endswith("visitors: ok")


@pytest.mark.long
def test_p34_an_observer_who_could_write_is_found(engine: Engine) -> None:
    """The negative control: the same without the part that drops changes."""
    without = (
        "mkdir /tmp/other && "
        "cp -r /srv/venv/lib/python3*/site-packages/gpulab_session /tmp/other && "
        "sed -i 's/if not only_reads(message)/if False/' "
        "/tmp/other/gpulab_session/documents.py && "
        "PYTHONPATH=/tmp/other python /srv/smoke/visitors.py"
    )
    status, text = _output(engine, "sh", "-c", without)
    assert status != 0
    assert "an observer has written" in text
