from __future__ import annotations

from pathlib import Path

from supcam.web.database import migrate, open_database, version_of


def test_a_migration_that_fails_leaves_the_tables_as_they_were(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'a.sqlite'}")
    before = version_of(database)
    with database.writing() as session:
        session.connection().exec_driver_sql("DROP TRIGGER audit_no_delete")
    try:
        migrate(database, revision="0001")
    except Exception:
        assert version_of(database) == before
        with database.reading() as session:
            query = "SELECT name FROM sqlite_master WHERE type='trigger'"
            assert len(session.connection().exec_driver_sql(query).all()) == 7
    else:
        raise AssertionError("a missing trigger was passed over")
    database.close()
