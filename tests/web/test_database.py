from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.service import stored

from supcam.core.types import SupcamError
from supcam.pack.bundle import Model
from supcam.web.database import Database, migrate, open_database, version_of
from supcam.web.tables import AuditRow
from supcam.web.vault import Vault


def test_a_new_database_has_all_tables_and_opens_again(database_url: str) -> None:
    first = open_database(database_url)
    newest = version_of(first)
    first.close()
    again = open_database(database_url, upgrade=False)
    assert version_of(again) == newest
    again.close()


def test_migrations_go_down_and_up_with_data(database: Database, vault: Vault, model: Model) -> None:
    stored(database, vault=vault, model=model)
    newest = version_of(database)
    with database.reading() as session:
        before = session.query(AuditRow).count()
    migrate(database, revision="0001")
    assert version_of(database) == "0001"
    migrate(database, revision="head")
    assert version_of(database) == newest
    with database.reading() as session:
        assert session.query(AuditRow).count() == before > 0
    migrate(database, revision="base")
    assert version_of(database) is None
    migrate(database, revision="head")


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
