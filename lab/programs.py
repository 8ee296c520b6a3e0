"""The lab's programs and the file that tells supervisord of them; pure."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A program that dies is started again for as long as the lab runs, each time a second later than
# the time before; one that lived for a second counts as started.
_RETRIES = 100_000
_LOG_BYTES = 5_000_000
_LOG_FILES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program that supervisord keeps alive."""

    name: str
    command: tuple[str, ...]
    stop_s: int = 10
    # Variables of this program alone.
    told: Mapping[str, str] = field(default_factory=dict)


def lab_programs(
    python: Path, project: Path, *, proxy: tuple[str, ...], engine: Path | None = None
) -> tuple[Program, ...]:
    """List the programs in the order in which they start.

    With an engine there is a gate before it, and only the gate and the watchdog, which has to
    work when everything else is dead, are told the engine's own socket.
    """
    # -P: the folder that it runs in, where sessions write too, is no place for code.
    run = (str(python), "-P", "-m")
    to_engine = {} if engine is None else {"DOCKER_HOST": f"unix://{engine}"}
    gate = Program(name="gate", command=(*run, "gate"), stop_s=3,
                   told={"GPULAB_GATE_ENGINE": str(engine)})  # fmt: skip
    return (
        *(() if engine is None else (gate,)),
        Program(name="proxy", command=proxy, stop_s=3),
        Program(name="service", command=(*run, "api.serve")),
        Program(name="hub", command=(*run, "jupyterhub", "-f",
                                     str(project / "jupyterhub_config.py"))),
        Program(name="worker", command=(*run, "api.worker"), stop_s=30),
        Program(name="culler", command=(*run, "hub.culler"), stop_s=3),
        Program(name="watchdog", command=(*run, "api.watchdog"), stop_s=3,
                told=to_engine),
    )  # fmt: skip


def supervisor_config(
    programs: Iterable[Program], *, state_dir: Path, logs: Path, socket: Path
) -> str:
    """Write supervisord's file."""
    sections: dict[str, Mapping[str, object]] = {
        "unix_http_server": {"file": socket, "chmod": "0600"},
        "supervisord": {
            "nodaemon": "true",
            "silent": "true",
            "umask": "077",
            "directory": state_dir,
            "logfile": logs / "supervisord.log",
            "logfile_maxbytes": _LOG_BYTES,
            "logfile_backups": _LOG_FILES,
            "pidfile": state_dir / "supervisord.pid",
            "childlogdir": logs,
        },
        "rpcinterface:supervisor": {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        },
    }
    for priority, program in enumerate(programs, start=1):
        sections[f"program:{program.name}"] = _program(program, priority, state_dir, logs)
    return "\n".join(_section(name, lines) for name, lines in sections.items())


def _program(program: Program, priority: int, state_dir: Path, logs: Path) -> dict[str, object]:
    return {
        "command": shlex.join(program.command),
        "directory": state_dir,
        "priority": priority,
        # By the program's name a launcher recognizes what a lab that was killed has left behind.
        "environment": ",".join(
            f'{name}="{value}"'
            for name, value in {"GPULAB_PROGRAM": program.name, **program.told}.items()
        ),
        "autorestart": "true",
        "startsecs": 1,
        "startretries": _RETRIES,
        "stopwaitsecs": program.stop_s,
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": logs / f"{program.name}.log",
        "stdout_logfile_maxbytes": _LOG_BYTES,
        "stdout_logfile_backups": _LOG_FILES,
    }


def _section(name: str, lines: Mapping[str, object]) -> str:
    # supervisord fills in %(here)s and the like everywhere; a path may hold a bare %.
    body = "".join(f"{key} = {str(value).replace('%', '%%')}\n" for key, value in lines.items())
    return f"[{name}]\n{body}"
