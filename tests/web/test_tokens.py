from __future__ import annotations

import pytest
from sqlalchemy import select

from supcam.core.types import SupcamError
from supcam.web.database import Database
from supcam.web.tables import TokenRow
from supcam.web.tokens import Actor, authenticate, create_token, list_tokens, revoke_token


def test_a_token_lets_in_whom_it_was_made_for(database: Database) -> None:
    new = create_token(database, name="ann", role="reviewer", actor="terminal")
    assert authenticate(database, new.text) == Actor("ann", role="reviewer", key=new.id)
    assert [row.name for row in list_tokens(database)] == ["ann"]


def test_only_its_hash_is_kept(database: Database) -> None:
    text = create_token(database, name="ann", role="reader", actor="terminal").text
    secret = text.split("_", 2)[2]
    with database.reading() as session:
        row = session.scalars(select(TokenRow)).one()
    assert secret not in repr(vars(row))
    assert len(row.secret_sha256) == 64


@pytest.mark.parametrize("change", [lambda t: t + "x", lambda t: t[:-1], lambda t: "x" + t, lambda t: ""])
def test_anything_else_lets_nobody_in(database: Database, change: object) -> None:
    text = create_token(database, name="ann", role="admin", actor="terminal").text
    assert callable(change)
    assert authenticate(database, change(text)) is None


@pytest.mark.parametrize("text", ["supcam__", "supcam_\0_", "a" * 10_000, "supcam_\ud800_x", "_"])
def test_nonsense_lets_nobody_in(database: Database, text: str) -> None:
    assert authenticate(database, text) is None


def test_a_revoked_token_lets_nobody_in(database: Database) -> None:
    new = create_token(database, name="ann", role="admin", actor="terminal")
    revoke_token(database, new.id, actor="terminal")
    assert authenticate(database, new.text) is None
    with pytest.raises(SupcamError, match="token list"):
        revoke_token(database, new.id, actor="terminal")


def test_roles_contain_each_other() -> None:
    assert Actor("a", role="admin", key="").may("reader")
    assert not Actor("a", role="reader", key="").may("reviewer")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a/b", "x" * 101])
def test_a_name_must_be_one(database: Database, name: str) -> None:
    with pytest.raises(SupcamError):
        create_token(database, name=name, role="reader", actor="terminal")
