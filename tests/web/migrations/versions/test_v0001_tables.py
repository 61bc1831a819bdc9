from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from supcam.web.database import migrate, open_database
from supcam.web.migrations.versions.v0001_tables import TABLES


def test_all_tables_come_and_go(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    assert {*TABLES} <= {*inspect(database.engine).get_table_names()}
    migrate(database, revision="base")
    assert not {*TABLES} & {*inspect(database.engine).get_table_names()}
    database.close()
