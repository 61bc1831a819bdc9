"""The database itself refuses to change or remove what is only ever added."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("analyses", "predictions", "decisions", "audit")
VERBS = ("UPDATE", "DELETE")
_FUNCTION = """
CREATE FUNCTION supcam_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""


def upgrade() -> None:
    """Triggers on every such table."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if not is_sqlite:
        op.execute(_FUNCTION)
    for table in TABLES:
        for verb in VERBS:
            name = f"{table}_no_{verb.lower()}"
            refuse = (
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                if is_sqlite
                else "EXECUTE FUNCTION supcam_refuse_change()"
            )
            op.execute(f"CREATE TRIGGER {name} BEFORE {verb} ON {table} FOR EACH ROW {refuse}")


def downgrade() -> None:
    """No triggers."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for table in TABLES:
        for verb in VERBS:
            place = "" if is_sqlite else f" ON {table}"
            op.execute(f"DROP TRIGGER {table}_no_{verb.lower()}{place}")
    if not is_sqlite:
        op.execute("DROP FUNCTION supcam_refuse_change()")
