"""Bringing a database to the tables of this version.

Never done by a starting service by itself.
"""

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from quota.store.engine import reading, transaction
from quota.store.patience import be_patient
from quota.store.tables import metadata

_SCRIPTS = Path(__file__).parent / "migrations"


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Migrate forward, whole or not at all."""
    with transaction(engine) as connection:
        be_patient(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Migrate back, whole or not at all; `base` removes every table."""
    with transaction(engine) as connection:
        be_patient(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def is_current(engine: Engine) -> bool:
    """Tell whether the database is at the version that this code expects."""
    wanted = set(ScriptDirectory.from_config(_config()).get_heads())
    with reading(engine) as connection:
        return set(MigrationContext.configure(connection).get_current_heads()) == wanted


def is_empty(engine: Engine) -> bool:
    """Tell whether nothing was ever migrated here."""
    with reading(engine) as connection:
        return not MigrationContext.configure(connection).get_current_heads()


def is_known(engine: Engine) -> bool:
    """Tell whether this code knows the version of a database, its own or an older one."""
    with reading(engine) as connection:
        heads = MigrationContext.configure(connection).get_current_heads()
    return bool(heads) and all(is_known_revision(one) for one in heads)


def is_known_revision(revision: str) -> bool:
    """Tell whether this code has a migration of this name."""
    scripts = ScriptDirectory.from_config(_config())
    return any(one.revision == revision for one in scripts.walk_revisions())


def differences(engine: Engine) -> list[object]:
    """List where the migrated tables differ from the tables in the code; empty is right."""
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
