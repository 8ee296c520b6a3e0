"""What `make up` makes before anything starts: secrets, once, and for their readers only."""

import os
import stat
from pathlib import Path

import pytest

from lab import site
from lab.trial.text import lab_text
from quota.lab import Lab
from quota.lab_file import load_lab


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("config", "tls"):
        (tmp_path / name).mkdir()
    (tmp_path / "config/lab.yaml").write_text(lab_text())
    return tmp_path


@pytest.fixture
def lab(place: Path) -> Lab:
    return load_lab(place / "config/lab.yaml")


def words(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (place / "secrets").iterdir()}


def test_p46_secrets_are_their_readers_own(place: Path, lab: Lab) -> None:
    (place / "tls/privkey.pem").write_text("a key")
    (place / "channels").mkdir()
    (place / "channels/slack").write_text("slack://a/b/c")
    site.prepare_site(place, lab, authenticator="demo")
    folders = ("secrets", "tls", "channels")
    found = [path for name in folders for path in (place / name).iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    if os.geteuid() == 0:
        owners = {path.name: path.stat().st_uid for path in found}
        assert owners["cookie_secret"] == owners["books_pgpass"] == owners["slack"] == 990
        assert (owners["postgres_owner"], owners["grafana_password"]) == (999, 472)
        assert owners["privkey.pem"] == owners["demo-passwords.txt"] == 0


def test_what_is_there_stays(place: Path, lab: Lab) -> None:
    site.prepare_site(place, lab, authenticator="demo")
    first = words(place)
    site.prepare_site(place, lab, authenticator="demo")
    assert words(place) == first
    assert first["metrics_token"] == first["metrics_token_hub"] != first["service_token"]
    assert first["books_pgpass"] == f"*:*:*:*:{first['postgres_role']}"
    assert first["owner_pgpass"] == f"*:*:*:*:{first['postgres_owner']}"
    assert first["postgres_owner"] != first["postgres_role"]


def test_other_authenticators_have_no_demo_accounts(place: Path, lab: Lab) -> None:
    site.prepare_site(place, lab, authenticator="github")
    assert words(place)["passwords.json"] == "{}\n"
    assert "demo-passwords.txt" not in words(place)


def test_it_says_which_images_sessions_need(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["site", str(place)])
    assert site.main() == 0
    assert capsys.readouterr().out == "gpulab/base:latest\n"
    (place / "config/lab.yaml").write_text("nonsense: true\n")
    assert site.main() == 1
    assert "lab.yaml" in capsys.readouterr().err
