"""`python -m tests.simulation.on_postgres`: the search for faults on a throw-away PostgreSQL."""

import sys

from quota.simulation.__main__ import main
from tests.postgres import binaries, throwaway_postgres


def run(words: list[str]) -> int:
    """Run `python -m quota.simulation` with the same words on a cluster of its own."""
    if binaries() is None:
        print("no PostgreSQL server here: apt-get install postgresql")
        return 2
    with throwaway_postgres() as url:
        return main(words, url=url, program="python -m tests.simulation.on_postgres")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
