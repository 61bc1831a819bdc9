from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from supcam.web.database import Database, migrate, open_database
from supcam.web.migrations.versions.v0002_append_only import TABLES
from supcam.web.tables import AuditRow


def forget(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("DELETE FROM audit"))


def test_rows_can_be_removed_only_without_the_triggers(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    assert "audit" in TABLES
    with database.writing() as session:
        session.add(AuditRow(at_s=0.0, actor="a", action="b", subject="", details={}))
    with pytest.raises(DBAPIError, match="append-only"):
        forget(database)
    migrate(database, revision="0001")
    forget(database)
    database.close()
