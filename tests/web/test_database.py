from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select, text
from tests.service import stored

from supcam.core.types import SupcamError
from supcam.pack.bundle import Model
from supcam.web.database import Database, migrate, open_database, version_of
from supcam.web.schemas import NewDecision
from supcam.web.store import decide
from supcam.web.tables import AuditRow, Base, ObjectRow
from supcam.web.tokens import create_token
from supcam.web.vault import Vault


def test_a_new_database_has_all_tables_and_opens_again(database_url: str) -> None:
    first = open_database(database_url)
    newest = version_of(first)
    first.close()
    again = open_database(database_url, upgrade=False)
    assert version_of(again) == newest
    again.close()


def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables."""
    with database.reading() as session:
        return {
            table.name: [tuple(row) for row in session.execute(select(table).order_by(*table.primary_key))]
            for table in Base.metadata.sorted_tables
        }


def test_migrations_go_down_and_up_with_data(database: Database, vault: Vault, model: Model) -> None:
    """Pictures, predictions, decisions, tokens, audit: all of it is there after every step down and up."""
    stored(database, vault=vault, model=model)
    create_token(database, name="ann", role="reviewer", actor="test")
    with database.writing() as session:
        object_id = session.scalars(select(ObjectRow.id)).first() or ""
        decide(session, NewDecision(type="touching"), object_id=object_id, reviewer="ann", now=1.0)
    newest, before = version_of(database), rows(database)
    assert all(before.values()), [name for name, found in before.items() if not found]
    migrate(database, revision="0001")
    assert version_of(database) == "0001"
    assert rows(database) == before
    migrate(database, revision="head")
    assert version_of(database) == newest
    assert rows(database) == before
    migrate(database, revision="base")
    assert version_of(database) is None
    migrate(database, revision="head")
    assert not any(rows(database).values())


def test_a_workers_database_must_be_up_to_date(database_url: str, database: Database) -> None:
    migrate(database, revision="0001")
    with pytest.raises(SupcamError, match="supcam serve"):
        open_database(database_url, upgrade=False)


def test_tables_of_a_newer_version_are_left_alone(database: Database, database_url: str) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SupcamError, match="9999"):
        open_database(database_url)


@pytest.mark.parametrize("url", ["nonsense", "mysql://somewhere/x", "postgresql://127.0.0.1:1/none"])
def test_a_database_that_cannot_be_used_is_named_without_its_password(url: str) -> None:
    with pytest.raises(SupcamError):
        open_database(url)


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail_half_way() -> None:
        with database.writing() as session:
            session.add(AuditRow(at_s=0.0, actor="a", action="b", subject="", details={}))
            session.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    with database.reading() as session:
        assert session.query(AuditRow).count() == 0


def test_sqlite_keeps_readers_beside_a_writer(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    with database.writing() as writer, database.reading() as reader:
        writer.add(AuditRow(at_s=0.0, actor="a", action="b", subject="", details={}))
        writer.flush()
        assert reader.query(AuditRow).count() == 0
        assert reader.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
    database.close()
