"""`python -m gate`: stand between the lab's programs and the Docker engine until SIGTERM."""

import asyncio
import logging
import os
import signal
import sys

from pydantic import ValidationError

from gate.policy import PolicyUnusable, in_short, read_policy
from gate.serving import Gate, listen
from gate.settings import GateSettings


def main() -> int:
    """Run the gate; the exit status tells whether it could."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO,
                        stream=sys.stdout)  # fmt: skip
    try:
        settings = GateSettings()
        gate = Gate(read_policy(settings.gate_policy), settings.gate_engine)
        # Nobody but the owner may use the socket in the moment before its mode is set.
        os.umask(0o177)
        asyncio.run(_run(gate, settings))
    except ValidationError as error:
        print(f"gate: GPULAB_{in_short(error)}", file=sys.stderr)  # noqa: T201 - its last words
        return 1
    except (PolicyUnusable, OSError) as error:
        print(f"gate: {error}", file=sys.stderr)  # noqa: T201 - its last words
        return 1
    return 0


async def _run(gate: Gate, settings: GateSettings) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    mode = int(settings.gate_socket_mode, 8)
    await listen(gate, settings.gate_socket, mode=mode, stopped=stopped)


if __name__ == "__main__":
    sys.exit(main())
