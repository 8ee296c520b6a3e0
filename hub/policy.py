"""lab.yaml as the hub sees it: read at start, and again when it changed.

A file that became wrong is reported, and the last good policy stays in force.
"""

import logging
from pathlib import Path
from typing import Protocol

from quota.lab import Lab
from quota.lab_file import LabFileError, load_lab

log = logging.getLogger(__name__)


class HasLab(Protocol):
    """Has the policy in force."""

    @property
    def lab(self) -> Lab:
        """The policy."""


class PolicyFile:
    """The policy file and what it said last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._read_stamp()
        self._lab = load_lab(path)

    @property
    def lab(self) -> Lab:
        """The policy in force now: one `stat` when nothing changed."""
        stamp = self._read_stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._lab = load_lab(self._path)
            except LabFileError as error:
                log.error("lab.yaml is not usable; the last good one stays: %.2000s", error)
        return self._lab

    def _read_stamp(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (found.st_mtime_ns, found.st_size, found.st_ino)
