"""What a lab in containers needs before they start: secrets, each for the one who reads it.

`python -m lab.site FOLDER` runs as root in a container of its own, before the others, on the
site's folder. It prints the session images that lab.yaml names, one a line.
"""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.errors import CannotStart
from lab.people import people_of
from lab.secret_files import PASSWORD_HASHES, demo_passwords, make_secrets, write_private
from quota.lab import Lab
from quota.lab_file import LabFileError, load_lab

# Who reads a secret, by the number that the programs of each image run as.
_OURS, _POSTGRES, _PROMETHEUS, _GRAFANA, _CADDY = 990, 999, 65534, 472, 0
# A folder that may be passed through and not be listed: its files are their owners' only.
_PASSED_THROUGH = 0o711
_WORD_BYTES = 32
_OWNERS: Mapping[str, int] = {
    "admission_token": _OURS, "service_token": _OURS, "proxy_token": _OURS,
    "cookie_secret": _OURS, "crypt_key": _OURS, "culler_token": _OURS, PASSWORD_HASHES: _OURS,
    "books_pgpass": _OURS, "owner_pgpass": _OURS,
    "postgres_owner": _POSTGRES, "postgres_role": _POSTGRES,
    "grafana_password": _GRAFANA,
}  # fmt: skip


def prepare_site(site: Path, lab: Lab, *, authenticator: str) -> None:
    """Make the secrets that are not there yet, and give each file to its reader.

    Raises:
        CannotStart: a file is not what the lab wrote.

    """
    folder = site / "secrets"
    folder.mkdir(mode=_PASSED_THROUGH, exist_ok=True)
    folder.chmod(_PASSED_THROUGH)
    make_secrets(folder)
    _database_words(folder)
    _word(folder / "grafana_password")
    # The same word twice, since two programs that run as different users read it.
    token = _word(folder / "metrics_token")
    write_private(folder / "metrics_token_hub", token + "\n")
    if authenticator == "demo":
        demo_passwords(folder, [person.name for person in people_of(lab)])
    elif not (folder / PASSWORD_HASHES).exists():
        write_private(folder / PASSWORD_HASHES, "{}\n")
    _give_away(folder, {**_OWNERS, "metrics_token": _PROMETHEUS, "metrics_token_hub": _OURS})
    channels = site / "channels"
    channels.mkdir(mode=_PASSED_THROUGH, exist_ok=True)
    channels.chmod(_PASSED_THROUGH)
    _give_away(channels, {path.name: _OURS for path in channels.iterdir()})
    tls = site / "tls"
    _give_away(tls, {path.name: _CADDY for path in tls.iterdir()})


def _database_words(folder: Path) -> None:
    """Make both passwords of PostgreSQL, and the files by which its clients find them."""
    for role, clients in (("postgres_owner", "owner_pgpass"), ("postgres_role", "books_pgpass")):
        word = _word(folder / role)
        write_private(folder / clients, f"*:*:*:*:{word}\n")


def _word(path: Path) -> str:
    if not path.exists() or not path.read_text().strip():
        write_private(path, secrets.token_hex(_WORD_BYTES) + "\n")
    return path.read_text().strip()


def _give_away(folder: Path, owners: Mapping[str, int]) -> None:
    for name, owner in owners.items():
        path = folder / name
        path.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(path, owner, owner)


def main() -> int:
    """Prepare the folder that is named; the exit status tells whether it could."""
    site = Path(sys.argv[1])
    try:
        lab = load_lab(site / "config" / "lab.yaml")
        prepare_site(site, lab, authenticator=os.environ.get("GPULAB_AUTHENTICATOR", "demo"))
    except (CannotStart, LabFileError) as error:
        print(f"gpulab: {error}", file=sys.stderr)  # noqa: T201 - for a person at a terminal
        return 1
    print("\n".join(sorted({image.docker for image in lab.images.values()})))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
