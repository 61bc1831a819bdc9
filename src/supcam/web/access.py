"""The gate before every request: who asks, from where, and how often.

It is passed before a body is read. A token comes in the header ``Authorization: Bearer`` or, from a page,
in a cookie; what a cookie vouches for needs the header ``X-CSRF-Token`` as well where it changes something.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from supcam.web.config import LOOPBACK, ServiceConfig
from supcam.web.database import Database
from supcam.web.problems import problem
from supcam.web.schemas import Role
from supcam.web.tokens import Actor, authenticate
from supcam.web.traffic import Buckets

COOKIE = "supcam_token"
LOCAL = Actor("local", role="admin", key="local")
"""Whoever works at this machine, where no token is required."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_GUARDED = ("/api/", "/metrics")
_LOGIN = "/api/v1/session"
_BEARER = HTTPBearer(auto_error=False, description="A token of `supcam token create`.")


class Gate:
    """ASGI middleware: lets a request pass with its actor, or answers it with a problem."""

    def __init__(self, app: ASGIApp, *, config: ServiceConfig, database: Database) -> None:
        self._app, self._config, self._database = app, config, database
        limits = config.limits
        self._requests = Buckets(per_s=limits.requests_per_s, burst=limits.burst)
        per_min = limits.bad_tokens_per_min
        self._failures = Buckets(per_s=per_min / 60, burst=per_min)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            answer = await self._judge(request)
        except SQLAlchemyError:
            answer = problem(503, "the database cannot be reached now", headers={"Retry-After": "5"})
        await (answer or self._app)(scope, receive, send)

    async def _judge(self, request: Request) -> Response | None:
        """What to answer instead of letting the request pass; ``None``: it passes."""
        if not self._config.needs_token and not is_loopback(request.headers.get("host", "")):
            return problem(421, "this service answers at this machine's own address alone")
        client = request.client.host if request.client else "unknown"
        text = token_of(request)
        actor = None if self._config.needs_token else LOCAL
        if text or "authorization" in request.headers:
            if wait := self._failures.wait_s(client, cost=0.0):
                return _slow_down(wait)
            actor = await run_sync(authenticate, self._database, text)
            if actor is None:
                self._failures.wait_s(client)
        request.state.actor = actor
        if wait := self._requests.wait_s(actor.key if actor and text else client):
            return _slow_down(wait)
        return _refusal(request, actor=actor)


def _refusal(request: Request, *, actor: Actor | None) -> Response | None:
    is_login = request.url.path == _LOGIN and request.method in ("POST", "DELETE")
    is_guarded = request.url.path.startswith(_GUARDED) and not is_login
    if is_guarded and actor is None:
        return problem(401, "a valid token is required", headers={"WWW-Authenticate": "Bearer"})
    if request.method in _SAFE or "authorization" in request.headers:
        return None
    if not is_same_site(request):
        return problem(403, "this request comes from another site")
    cookie = request.cookies.get(COOKIE, "")
    sent = request.headers.get("x-csrf-token", "")
    if cookie and actor and not is_login and not hmac.compare_digest(sent.encode(), csrf_of(cookie).encode()):
        return problem(403, "the header X-CSRF-Token is missing or wrong; GET /api/v1/session tells it")
    return None


def _slow_down(wait_s: float) -> Response:
    return problem(429, "too many requests", headers={"Retry-After": str(max(1, round(wait_s + 0.5)))})


def token_of(request: Request) -> str:
    """The token that came with a request, in the header or the cookie; blank without one."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")


def csrf_of(token: str) -> str:
    """What only a page of ours can know of a token that the browser sends by itself."""
    return hashlib.sha256(f"csrf {token}".encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine; any other name there is somebody else's page (rebinding)."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


def is_same_site(request: Request) -> bool:
    """Whether a browser says that the request comes from a page of ours; other programs say nothing."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


def needs(role: Role) -> Callable[..., Actor]:
    """A dependency: whoever asks, if that role is theirs. Else 401 or 403."""

    def check(
        request: Request, _shown: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Actor:
        actor: Actor | None = getattr(request.state, "actor", None)
        if actor is None:
            raise HTTPException(401, "a valid token is required", headers={"WWW-Authenticate": "Bearer"})
        if not actor.may(role):
            raise HTTPException(403, f"this needs the role {role}; yours is {actor.role}")
        return actor

    return check
