"""Who may come in: tokens with a role, kept as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import select

from supcam.core.types import SupcamError
from supcam.web.database import Database
from supcam.web.schemas import Role
from supcam.web.store import Entry, audit, shown_name
from supcam.web.tables import TokenRow

ROLES: tuple[Role, ...] = ("reader", "reviewer", "admin")
"""Each may do what the ones before it may."""
_PREFIX = "supcam"
_ID = re.compile(r"[0-9a-f]{16}")
_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who asks for something. ``key`` stands for them where requests are counted."""

    name: str
    role: Role
    key: str

    def may(self, role: Role) -> bool:
        """Whether that role is theirs."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made; ``text`` is told once and kept nowhere."""

    id: str
    text: str


def create_token(database: Database, *, name: str, role: Role, actor: str) -> NewToken:
    """A new token for the reviewer ``name``. Raises ``SupcamError`` for a blank name."""
    if not name.strip() or shown_name(name) != name or len(name) > 100:
        raise SupcamError(
            f"the name {name!r}",
            expected="a name of up to 100 letters on one line, without slashes",
            remedy="choose another",
        )
    identifier, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    with database.writing() as session:
        now = database.now(session)
        row = TokenRow(
            id=identifier,
            name=name,
            role=role,
            secret_sha256=_hash(secret),
            created_s=now,
            revoked_s=None,
        )
        session.add(row)
        audit(
            session, Entry(actor, action="create token", subject=identifier, details={"role": role}), now=now
        )
    return NewToken(identifier, f"{_PREFIX}_{identifier}_{secret}")


def revoke_token(database: Database, identifier: str, *, actor: str) -> None:
    """From now on the token lets nobody in. Raises ``SupcamError`` when there is none of that id."""
    with database.writing() as session:
        row = session.get(TokenRow, identifier)
        if row is None or row.revoked_s is not None:
            raise SupcamError(
                f"no valid token {identifier!r}", expected="the id of a token", remedy="see supcam token list"
            )
        row.revoked_s = database.now(session)
        audit(session, Entry(actor, action="revoke token", subject=identifier), now=row.revoked_s)


def list_tokens(database: Database) -> list[TokenRow]:
    """All tokens, the oldest first, without what would let anybody in."""
    with database.reading() as session:
        return list(session.scalars(select(TokenRow).order_by(TokenRow.created_s, TokenRow.id)))


def authenticate(database: Database, text: str) -> Actor | None:
    """Whom a token belongs to; ``None`` for one that is unknown, wrong or revoked, all in the same time."""
    prefix, _, rest = text.partition("_")
    identifier, _, secret = rest.partition("_")
    row = None
    if _ID.fullmatch(identifier):
        with database.reading() as session:
            row = session.get(TokenRow, identifier)
    known = row.secret_sha256 if row is not None else _NOTHING
    same = hmac.compare_digest(_hash(secret), known)
    if row is None or not same or prefix != _PREFIX or row.revoked_s is not None:
        return None
    return Actor(row.name, role=_role(row.role), key=row.id)


def _role(text: str) -> Role:
    return next(role for role in ROLES if role == text)


def _hash(secret: str) -> str:
    """A plain hash is enough: a secret of 32 random bytes cannot be guessed from it."""
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()
