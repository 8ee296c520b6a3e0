"""Copies of books in PostgreSQL: by its own pg_dump and pg_restore, in its own format."""

import os
import re
import subprocess
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url

from quota.errors import BackupFailed
from quota.store.engine import open_engine, reading
from quota.store.migrate import is_known_revision, upgrade

# What libpq calls in the environment what a URL says: a password never stands on a command line,
# where every user of the machine could read it.
_VARIABLES = {
    "host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD",
    "dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
}  # fmt: skip

# What a migration makes: tables and the functions of their triggers.
_OURS = """
SELECT format('DROP TABLE IF EXISTS %I.%I CASCADE', schemaname, tablename)
FROM pg_tables WHERE schemaname = current_schema()
UNION ALL
SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', oid::regprocedure)
FROM pg_proc p WHERE pronamespace = current_schema()::regnamespace
AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
"""


def dump(url: str, target: Path) -> None:
    """Write one instant of the database into a file that can be listed."""
    words = ("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
    _run(url, *words)
    _run(url, "pg_restore", "--list", str(target))


def put_back(url: str, source: Path) -> None:
    """Replace the database by a dump, in one transaction, then bring it to this version."""
    revision = _revision_of(url, source)
    if not is_known_revision(revision):
        raise BackupFailed(f"{source} was made by a newer version of gpulab.")
    script = _run(url, "pg_restore", "--no-owner", "--no-privileges", "--file=-", str(source))
    # Also what only a newer version has, which the dump does not name.
    whole = ";\n".join([*_clearing(url), ""]) + script
    _run(url, "psql", "--no-psqlrc", "--quiet", "--single-transaction", "--output=/dev/null",
         "--set=ON_ERROR_STOP=1", "--file=-", given=whole)  # fmt: skip
    engine = open_engine(url, pool_size=1)
    try:
        upgrade(engine)
    finally:
        engine.dispose()


def _revision_of(url: str, source: Path) -> str:
    words = ("--data-only", "--table=alembic_version", "--file=-", str(source))
    script = _run(url, "pg_restore", *words)
    found = re.search(r"^COPY .*alembic_version .*;\n(\S+)\n", script, re.MULTILINE)
    if found is None:
        raise BackupFailed(f"{source} is a dump, but not of the books of a lab.")
    return found[1]


def _clearing(url: str) -> list[str]:
    engine = open_engine(url, pool_size=1)
    try:
        with reading(engine) as tx:
            return list(tx.execute(text(_OURS)).scalars())
    finally:
        engine.dispose()


def _run(url: str, *words: str, given: str | None = None) -> str:
    """Run one of PostgreSQL's programs on the database of a URL."""
    try:
        done = subprocess.run(words, input=given, env=_environment(url), check=True,
                              capture_output=True, text=True)  # fmt: skip
    except FileNotFoundError as error:
        raise BackupFailed(f"{words[0]} is not here; install PostgreSQL's client programs "
                           "(Debian: postgresql-client).") from error  # fmt: skip
    except subprocess.CalledProcessError as error:
        said = (error.stderr or "").strip().splitlines()
        raise BackupFailed(f"{words[0]} failed: {' '.join(said[:3])[:500]}") from error
    return done.stdout


def _environment(url: str) -> dict[str, str]:
    address = make_url(url)
    _, named = address.get_dialect()().create_connect_args(address)
    found = {_VARIABLES[name]: str(value) for name, value in named.items() if name in _VARIABLES}
    return {**os.environ, **found}
