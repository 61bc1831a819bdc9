"""URL -> a database with the tables of this version: SQLite in one file, or PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from supcam.core.types import SupcamError

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_S = 20
"""How long a writer of SQLite waits for another one."""
_SQLITE = (
    f"busy_timeout={_BUSY_S}000",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "secure_delete=ON",
)
"""The last one: what is purged is overwritten in the file, too."""
_MOST_IN_QUERY = 500
_LOCK = 7_270_046
"""Number of PostgreSQL's advisory lock around what must not happen twice at a time."""


class Database:
    """An open database. In SQLite those that write take turns; PostgreSQL locks rows one by one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that changes something: all of it is there afterwards, on the disk, or nothing."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            if self.is_sqlite:
                session.execute(text("BEGIN IMMEDIATE"))
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A transaction that only looks."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    def alone(self, session: Session) -> None:
        """Until ``session`` ends, no other one that asks for this goes on. SQLite has one writer anyway."""
        if not self.is_sqlite:
            session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})

    def now(self, session: Session) -> float:
        """Seconds since 1970, by the clock that all servers of this database share."""
        if self.is_sqlite:
            return time.time()
        return float(session.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def close(self) -> None:
        """No connection is left open."""
        self.engine.dispose()


def open_database(url: str, *, upgrade: bool = True) -> Database:
    """The database at ``url``, its tables brought to this version unless ``upgrade`` is off.

    Raises ``SupcamError`` when it cannot be reached, or was made by a newer version.
    """
    database = Database(_engine(_checked_url(url)))
    try:
        if upgrade:
            migrate(database, revision="head")
        else:
            _check_version(database)
    except OperationalError as error:
        database.close()
        raise _unreachable(database.engine.url, error) from error
    except SupcamError:
        database.close()
        raise
    return database


def chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """So many at a time as any database takes in one query."""
    return (ids[at : at + _MOST_IN_QUERY] for at in range(0, len(ids), _MOST_IN_QUERY))


def migrate(database: Database, *, revision: str) -> None:
    """The tables at ``revision``; one server at a time does it, the others wait. Raises ``SupcamError``."""
    with database.engine.connect() as connection, connection.begin():
        if database.is_sqlite:
            connection.execute(text("BEGIN IMMEDIATE"))
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
        config = _config(connection)
        _refuse_newer(connection, config=config)
        go = command.downgrade if _is_older(connection, config=config, revision=revision) else command.upgrade
        go(config, revision)


def version_of(database: Database) -> str | None:
    """The revision of the tables; ``None`` in an empty database."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": _BUSY_S, "check_same_thread": False})
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    return create_engine(
        url, pool_pre_ping=True, pool_size=10, max_overflow=20, connect_args={"connect_timeout": 5}
    )


def _prepare_sqlite(connection: object, _record: object) -> None:
    """Readers beside a writer (WAL), every commit on the disk, references kept; we say when to begin."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for setting in _SQLITE:
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _checked_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise SupcamError(
            "a database URL that cannot be read",
            expected="sqlite:///FILE or postgresql://USER@HOST/NAME",
            remedy="correct --database",
        ) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise SupcamError(
            f"a database of the kind {parsed.get_backend_name()!r}",
            expected="sqlite or postgresql",
            remedy="correct --database",
        )
    return parsed.set(drivername="postgresql+psycopg") if parsed.get_backend_name() != "sqlite" else parsed


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _revisions(config: Config) -> list[str]:
    """All revisions, the oldest first."""
    return [each.revision for each in reversed([*ScriptDirectory.from_config(config).walk_revisions()])]


def _refuse_newer(connection: Connection, *, config: Config) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in _revisions(config):
        raise SupcamError(
            f"tables of the unknown version {found!r}",
            expected=f"one of {', '.join(_revisions(config))}",
            remedy="use the version of supcam that made them, or a newer one",
        )


def _is_older(connection: Connection, *, config: Config, revision: str) -> bool:
    known = _revisions(config)
    found = MigrationContext.configure(connection).get_current_revision()
    if found is None or revision == "head":
        return False
    return revision == "base" or known.index(revision) < known.index(found)


def _check_version(database: Database) -> None:
    with database.engine.connect() as connection:
        config = _config(connection)
        _refuse_newer(connection, config=config)
        newest = _revisions(config)[-1]
        found = MigrationContext.configure(connection).get_current_revision()
    if found != newest:
        raise SupcamError(
            f"tables of version {found!r}",
            expected=newest,
            remedy="start supcam serve once, which brings them up to date",
        )


def _unreachable(url: URL, error: SQLAlchemyError) -> SupcamError:
    told = str(getattr(error, "orig", error)).strip().splitlines()
    return SupcamError(
        f"that it cannot be opened ({told[0] if told else type(error).__name__})",
        expected="a database that can be reached",
        remedy="check --database, and that the server runs",
        where=url.render_as_string(hide_password=True),
    )
