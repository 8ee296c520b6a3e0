"""A socket before the Docker engine that lets everything through, until a test wants trouble."""

import re
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_LINE = re.compile(rb"(GET|HEAD|POST|PUT|DELETE) (\S+) HTTP/1")
_BODY = b'{"message": "the engine is in trouble"}'
_ANSWER = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
_EVERYTHING = r".*"

Kind = Literal["500", "refused", "silent"]


@dataclass(slots=True)
class Watch:
    """Something that is done when a request of a kind comes by: before or after its answer."""

    pattern: re.Pattern[str]
    is_after: bool
    action: Callable[[], None]


@dataclass
class Trouble:
    """The rules in force; requests are named as `POST /v1.41/containers/abc/stop?t=20`."""

    url: str
    pattern: re.Pattern[str] | None = None
    kind: Kind = "500"
    refused: list[str] = field(default_factory=list)
    watch: Watch | None = None
    opened: set[socket.socket] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, kind: Kind, requests: str = _EVERYTHING) -> None:
        """From now on requests of this kind have no luck; open connections end."""
        self.kind, self.pattern = kind, re.compile(requests)
        self._hang_up()

    def end(self) -> None:
        """The engine is well again; who waits for an answer that never came gets none."""
        self.pattern = None
        self._hang_up()

    def once(self, requests: str, action: Callable[[], None], *, after: bool) -> None:
        """Do something when the next request of a kind comes by."""
        self.watch = Watch(re.compile(requests), after, action)

    def taken(self, line: str, *, after: bool) -> Callable[[], None] | None:
        """Return what has to be done about a request now, once."""
        with self.lock:
            watch = self.watch
            if watch is None or watch.is_after != after or not watch.pattern.search(line):
                return None
            self.watch = None
            return watch.action

    def _hang_up(self) -> None:
        with self.lock:
            for one in self.opened:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


@contextmanager
def troubled_engine(folder: Path, engine: Path) -> Iterator[Trouble]:
    """Open the socket; everything it opened is closed at the end."""
    path = folder / "engine.sock"
    trouble = Trouble(f"unix://{path}")
    stopped = threading.Event()
    threads: list[threading.Thread] = []

    def serve(listener: socket.socket) -> None:
        while not stopped.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                one = threading.Thread(target=_carry, args=(connection, engine, trouble))
                one.start()
                threads.append(one)

    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen(64)
        listener.settimeout(0.05)
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            yield trouble
        finally:
            stopped.set()
            server.join()
            trouble.end()
            for one in threads:
                one.join(timeout=20)
            path.unlink()


def _carry(client: socket.socket, engine: Path, trouble: Trouble) -> None:
    with client, socket.socket(socket.AF_UNIX) as server:
        with trouble.lock:
            trouble.opened |= {client, server}
        try:
            if trouble.kind == "refused" and trouble.pattern is not None:
                return
            server.connect(str(engine))
            _pump(client, server, trouble)
        except OSError:
            return
        finally:
            with trouble.lock:
                trouble.opened -= {client, server}


def _pump(client: socket.socket, server: socket.socket, trouble: Trouble) -> None:
    """Carry bytes both ways; a request begins whenever the client sends its first line."""
    line = ""
    while True:
        for ready in select.select([client, server], [], [])[0]:
            data = ready.recv(65_536)
            if not data:
                return
            if ready is server:
                client.sendall(data)
                _do(trouble.taken(line, after=True) if line else None)
                continue
            if found := _LINE.match(data):
                line = b" ".join(found.groups()).decode()
                if trouble.pattern is not None and trouble.pattern.search(line):
                    trouble.refused.append(line)
                    _refuse(client, trouble)
                    return
                _do(trouble.taken(line, after=False))
            server.sendall(data)


def _refuse(client: socket.socket, trouble: Trouble) -> None:
    if trouble.kind == "500":
        client.sendall(_ANSWER)
    elif trouble.kind == "silent":
        while client.recv(65_536):
            pass


def _do(action: Callable[[], None] | None) -> None:
    if action is not None:
        action()
