"""Run notebooks from top to bottom: `execute.py FOLDER NOTEBOOK...`, one line of JSON for each.

It needs nbclient only, so that it runs in the session image too. Figures come into the folder.
"""

import base64
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

CELL_S = 600


def run(path: Path, folder: Path) -> dict[str, Any]:
    """Run one notebook; say how long it took and what it put out."""
    notebook = nbformat.read(path, as_version=4)
    began, cpu, error = time.perf_counter(), _cpu_s(), ""
    try:
        client = NotebookClient(notebook, timeout=CELL_S, kernel_name="python3",
                                resources={"metadata": {"path": str(folder)}})  # fmt: skip
        client.execute()
    except CellExecutionError as failed:
        error = f"{failed.ename}: {failed.evalue}"
    wall_s = time.perf_counter() - began
    shown = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    figures = [one["data"]["image/png"] for one in shown if "image/png" in one.get("data", {})]
    for number, figure in enumerate(figures, start=1):
        (folder / f"{path.stem}-{number}.png").write_bytes(base64.b64decode(figure))
    streams = {name: "".join(one["text"] for one in shown if one.get("name") == name)
               for name in ("stdout", "stderr")}  # fmt: skip
    return {
        "lab": path.stem, "wall_s": round(wall_s, 1), "cpu_s": round(_cpu_s() - cpu, 1),
        "figures": len(figures), "printed": streams["stdout"],
        "complaints": streams["stderr"], "error": error,
    }  # fmt: skip


def _cpu_s() -> float:
    """Return the processor time of all kernels that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    for name in sys.argv[2:]:
        print(json.dumps(run(Path(name), Path(sys.argv[1]))), flush=True)
