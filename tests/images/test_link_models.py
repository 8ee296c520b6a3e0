"""The shared models under a scholar's own cache: laid out by links, used by the real library."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import Engine, throwaway_engine

PROGRAM = Path(__file__).parents[2] / "images" / "huggingface" / "link_models.py"
IMAGE = "gpulab/huggingface:latest"
OLD, NEW = "1" * 40, "2" * 40


def publish(shared: Path, revision: str, **files: str) -> Path:
    """Put a version of a model into the shared folder, as huggingface_hub lays it out."""
    repository = shared / "models--lab--tiny"
    for name, text in files.items():
        blob = repository / "blobs" / f"etag-{text}"
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_text(text)
        pointer = repository / "snapshots" / revision / f"{name}.txt"
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.symlink_to(f"../../blobs/{blob.name}")
    (repository / "refs").mkdir(exist_ok=True)
    (repository / "refs" / "main").write_text(revision)
    return repository


def start_session(shared: Path, home: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), "echo", "the session"], text=True, check=True,
        capture_output=True, env={"PATH": "/usr/bin:/bin", "HOME": str(home),
                                  "GPULAB_MODELS": str(shared), "HF_HUB_OFFLINE": "0"},
    )  # fmt: skip
    assert done.stdout == "the session\n"
    return done.stderr


def test_shared_models_are_there_and_what_is_own_stays_own(tmp_path: Path) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    publish(shared, OLD, config="a", weights="b")
    own = home / ".cache" / "huggingface" / "hub" / "models--lab--tiny"
    assert start_session(shared, home) == ""
    assert (own / "snapshots" / OLD / "weights.txt").read_text() == "b"
    assert (own / "blobs" / "etag-b").is_symlink()
    # The scholar fetches a newer version, the shared folder gets another, and a link breaks.
    (own / "refs" / "main").write_text(NEW)
    (own / "blobs" / "etag-own").write_text("own")
    repository = publish(shared, "3" * 40, config="c")
    (own / "blobs" / "etag-b").unlink()
    (own / "blobs" / "etag-b").symlink_to("/no/such/place")
    assert start_session(shared, home) == ""
    assert (own / "refs" / "main").read_text() == NEW
    assert (own / "blobs" / "etag-own").read_text() == "own"
    assert (own / "snapshots" / ("3" * 40) / "config.txt").read_text() == "c"
    assert (own / "blobs" / "etag-b").read_text() == "b"
    assert not any(one.is_symlink() for one in (repository / "blobs").iterdir())


def test_a_cache_that_cannot_be_written_does_not_keep_the_session_from_starting(
    tmp_path: Path,
) -> None:
    publish(tmp_path / "shared", OLD, config="a")
    (tmp_path / "home").write_text("no folder")
    assert "not linked" in start_session(tmp_path / "shared", tmp_path / "home")


def told_offline(home: Path, **more: str) -> str:
    """Return what a session is told of the hub of the models, which nobody is at."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(PROGRAM), "sh", "-c", 'echo "$HF_HUB_OFFLINE"'],
        text=True, check=True, capture_output=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:1",
             **more},
    )  # fmt: skip
    return done.stdout.strip()


def test_where_the_hub_of_the_models_is_away_the_libraries_are_told(tmp_path: Path) -> None:
    shared, home = tmp_path / "shared", tmp_path / "home"
    publish(shared, OLD, config="a")
    assert told_offline(home) == "", "nothing is here that could be asked for"
    assert told_offline(home, GPULAB_MODELS=str(shared)) == "1"
    assert told_offline(home) == "1", "it is in the scholar's own cache now"
    assert told_offline(home, HF_HUB_OFFLINE="0") == "0", "somebody has said so"
    assert told_offline(home, HTTPS_PROXY="http://127.0.0.1:1") == ""
    assert told_offline(home, HF_ENDPOINT="no address") == "1"
    with socket.create_server(("127.0.0.1", 0)) as hub:
        address = f"http://127.0.0.1:{hub.getsockname()[1]}"
        assert told_offline(home, HF_ENDPOINT=address) == ""


# What a session does with it: reads offline, gets a newer version that shares a file, and keeps
# its own copy of what it fetches anew. A small hub on its own loopback stands for the real one.
_IN_SESSION = """
import hashlib, json, os, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
OLD, NEW, FILES = "1" * 40, "2" * 40, {"config.txt": "a", "weights.txt": "new"}
asked = []
class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer(body=False)
    def do_GET(self):
        self.answer(body=True)
    def answer(self, body):
        text = FILES[self.path.rsplit("/", 1)[1]]
        if body:
            asked.append(text)
        self.send_response(200)
        for name, value in {"ETag": f'"etag-{text}"', "X-Repo-Commit": NEW,
                            "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(text.encode())
    def log_message(self, *words):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 8123), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
from huggingface_hub import hf_hub_download
def read(name, **how):
    return open(hf_hub_download("lab/tiny", name, **how)).read()
found = {"offline": read("weights.txt", local_files_only=True)}
found["newer"] = read("weights.txt")
found["same"] = read("config.txt")
found["fetched"] = list(asked)
found["again"] = read("config.txt", force_download=True)
own = os.path.expanduser("~/.cache/huggingface/hub/models--lab--tiny/blobs/etag-a")
found["own copy"] = not os.path.islink(own)
try:
    open("/shared/models/models--lab--tiny/blobs/etag-a", "w")
except OSError as error:
    found["shared"] = error.strerror
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with throwaway_engine() as one:
        if not one.client.images(IMAGE):
            pytest.skip(f"the image {IMAGE} is not here: scripts/build-image.sh huggingface")
        yield one


@pytest.mark.docker
@pytest.mark.long
def test_the_real_library_reads_what_is_shared_and_writes_what_is_own(
    engine: Engine, tmp_path: Path
) -> None:
    publish(tmp_path, OLD, config="a", weights="b")
    tmp_path.chmod(0o755)
    host = engine.client.create_host_config(
        network_mode="none", cap_drop=["ALL"], read_only=True,
        tmpfs={"/tmp": "mode=1777", "/home/scholar": "mode=0755,uid=1000"},
        binds={str(tmp_path): {"bind": "/shared/models", "mode": "ro"},
               str(PROGRAM): {"bind": "/srv/link_models.py", "mode": "ro"}},
    )  # fmt: skip
    made = engine.client.create_container(
        IMAGE, ["python", "-c", _IN_SESSION], host_config=host,
        labels={"gpulab.hub": engine.hub_id},
        entrypoint=["tini", "-g", "--", "python", "-I", "-S", "/srv/link_models.py"],
        environment={"GPULAB_MODELS": "/shared/models", "HF_ENDPOINT": "http://127.0.0.1:8123",
                     "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"},
    )  # fmt: skip
    engine.client.start(made["Id"])
    assert engine.client.wait(made["Id"], timeout=120)["StatusCode"] == 0, engine.client.logs(
        made["Id"]
    )
    found = json.loads(engine.client.logs(made["Id"]).decode().splitlines()[-1])
    assert found == {
        "offline": "b", "newer": "new", "same": "a", "fetched": ["new"], "again": "a",
        "own copy": True, "shared": "Read-only file system",
    }  # fmt: skip
