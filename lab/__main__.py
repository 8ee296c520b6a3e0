"""`python -m lab`: flags to settings, reasons to sentences."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.errors import CannotStart
from lab.launcher import run
from lab.settings import LabSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lab; the exit status tells whether it could."""
    try:
        run(settings_from(_parser().parse_args(arguments)))
    except CannotStart as error:
        print(f"gpulab: {error}", file=sys.stderr)  # noqa: T201 - for a person at a terminal
        return 1
    return 0


def settings_from(flags: argparse.Namespace) -> LabSettings:
    """Build the settings from flags and environment.

    Raises:
        CannotStart: a value cannot be used.

    """
    given: dict[str, Any] = {key: value for key, value in vars(flags).items() if value is not None}
    try:
        return LabSettings(**given)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        name = "GPULAB_" + "_".join(str(part) for part in wrong["loc"]).upper()
        raise CannotStart(f"{name} cannot be {wrong['input']!r}: {wrong['msg']}") from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="Start a whole GPU lab on this machine; Ctrl-C stops it.",
        epilog="Every flag is an environment variable too: --state-dir is GPULAB_STATE_DIR.",
    )
    fields = LabSettings.model_fields
    for name, kind in _FLAGS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=kind, default=None,
            choices=("auto", "docker", "process") if name == "spawner" else None,
            help=fields[name].description,
        )  # fmt: skip
    return parser


_FLAGS: dict[str, type] = {
    "state_dir": Path,
    "lab_file": Path,
    "spawner": str,
    "host": str,
    "port": int,
    "hub_port": int,
    "proxy_api_port": int,
    "service_port": int,
    "session_listener_port": int,
    "public_host": str,
    "hub_config": Path,
}


if __name__ == "__main__":
    sys.exit(main())
