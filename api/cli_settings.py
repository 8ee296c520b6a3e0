"""Settings of the command line: as the launcher's, so that in the lab's folder none is needed."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from api.settings import CannotStart, known_variables
from api.starting import require_current
from quota.clock import SystemClock
from quota.lab_file import load_lab
from quota.service import Books
from quota.store.engine import open_engine


class CliSettings(BaseSettings):
    """Where the lab is."""

    model_config = SettingsConfigDict(env_prefix="GPULAB_", frozen=True, extra="ignore")

    state_dir: Path = Field(default=Path(".state"), description="The lab's state folder.")
    lab_file: Path = Field(default=Path("lab.yaml"), description="The lab's policy.")
    hub_id: str = Field(default="main", pattern=r"^[a-z0-9-]{1,64}$", description="Which hub.")
    spawner: str = Field(default="auto", description="What sessions run in.")
    database_url: SecretStr | None = Field(
        default=None, description="The books; in the state folder if left out."
    )
    secrets_dir: Path | None = Field(
        default=None, description="Folder with the secrets; in the state folder if left out."
    )
    gate_policy: Path | None = Field(
        default=None, description="What the gate lets through; in the state folder if left out."
    )

    @property
    def books_url(self) -> str:
        """The SQLAlchemy URL of the books."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state_dir.absolute() / 'books.sqlite'}"

    @property
    def secrets(self) -> Path:
        """The folder with the secrets."""
        return self.state_dir / "secrets" if self.secrets_dir is None else self.secrets_dir


@contextmanager
def open_books(settings: CliSettings) -> Iterator[Books]:
    """Open the lab's books as they are; nothing is made or migrated on the way.

    Raises:
        CannotStart: there are none, or they are of another version.

    """
    with database(settings) as engine:
        require_current(engine)
        lab = load_lab(settings.lab_file)
        books = Books(engine, lab, SystemClock(), hub_id=settings.hub_id)
        books.reload_rules()
        yield books


@contextmanager
def database(settings: CliSettings, *, may_be_new: bool = False) -> Iterator[Engine]:
    """Open the database; a missing SQLite file is made only where that is wanted.

    Raises:
        CannotStart: there is none at this address.

    """
    try:
        address = make_url(settings.books_url)
    except ArgumentError:
        raise CannotStart("GPULAB_DATABASE_URL is no database address; write it like "
                          "sqlite:////path/books.sqlite or postgresql+psycopg://user@host/name"
                          ) from None  # fmt: skip
    if address.get_backend_name() == "sqlite":
        path = Path(address.database or "")
        if not (path.parent if may_be_new else path).exists():
            raise CannotStart(f"There are no books at {path}. Run this in the lab's folder, or "
                              "set GPULAB_STATE_DIR or GPULAB_DATABASE_URL.")  # fmt: skip
    engine = open_engine(settings.books_url, pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def make_state_folder(settings: CliSettings) -> None:
    """Make the folder that the books will be in, open to its owner only."""
    if settings.database_url is None:
        settings.state_dir.mkdir(mode=0o700, exist_ok=True)


def unknown_variables(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Name variables that look like the lab's and are not: most often misspelled."""
    known = known_variables()
    return sorted(name for name in environment if name.startswith("GPULAB_") and name not in known)
