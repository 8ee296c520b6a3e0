"""What keeps sessions from this machine: what the lab told at its start, and what holds now."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from api.cli_settings import CliSettings
from api.doctor.findings import Finding
from api.doctor.parts import said_by

Run = Callable[[tuple[str, ...]], str]


def look_at_securing(settings: CliSettings) -> Iterator[Finding]:
    """Repeat what the launcher could not do, and look whether the network's rules are there."""
    try:
        told = json.loads((settings.state_dir / "securing.json").read_text())
        found = list(securing_findings(told, said_by, may_ask=os.geteuid() == 0))
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding("warn", f"what keeps sessions from this machine cannot be read: {error}",
                      "start the lab again")  # fmt: skip
        return
    yield from found


def securing_findings(told: Mapping[str, Any], run: Run, *, may_ask: bool) -> Iterator[Finding]:
    """Judge what was told, and what the packet filter says."""
    for one in told["shortcomings"]:
        yield Finding("warn", str(one["what"]), str(one["remedy"]))
    if not told["guarded"]:
        return
    if not may_ask:
        yield Finding("ok", "the lab has put rules in force for what sessions may reach; only "
                      "root can see whether they still are")  # fmt: skip
        return
    rules = run(("iptables", "--wait", "-S"))
    gone = [chain for chain in told["chains"] if f"-j {chain}" not in rules]
    if gone:
        yield Finding("fail", "the rules for what sessions may reach are no longer in force: "
                      "something else has emptied the packet filter",
                      "start the lab again, or run python -m lab.firewall apply")  # fmt: skip
    else:
        yield Finding("ok", "sessions reach the outside world, names and the hub, and nothing "
                      "else of this machine")  # fmt: skip
