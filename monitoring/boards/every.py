"""All boards, and their JSON: the same each time, so that a change of a board shows as one."""

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from monitoring.boards import enforcement, gpus, hub, now, quota, section, sessions
from monitoring.boards.parts import Board, build

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARDS: tuple[Board, ...] = (
    now.BOARD, gpus.BOARD, sessions.BOARD, quota.BOARD, enforcement.BOARD, section.BOARD,
    hub.BOARD,
)  # fmt: skip


def written() -> dict[str, str]:
    """Return the files' texts by name."""
    return {f"{board.uid}.json": _text(board) for board in BOARDS}


def _text(board: Board) -> str:
    made: dict[str, Any] = json.loads(JSONEncoder().encode(build(board)))
    # Links to single panels name their ids, which the SDK leaves out.
    for number, panel in enumerate(made["panels"], start=1):
        panel["id"] = number
    return json.dumps(made, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
