"""Whatever goes wrong, told in one form (RFC 9457); nothing of what a user sent is repeated."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from supcam.core.types import SupcamError
from supcam.web.jobs import QueueFullError
from supcam.web.schemas import Problem
from supcam.web.store import NotAllowedError, NotThereError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("supcam.web")
_AGAIN_S = 5
"""When to come back where the database or the disk is in trouble."""


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """The answer to a request that failed."""
    told = Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail)
    return Response(
        told.model_dump_json(), status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def add_handlers(app: FastAPI) -> None:
    """From now on every error of ``app`` is told in this form."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(SupcamError, _ours)
    app.add_exception_handler(SQLAlchemyError, _database)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(Exception, _unexpected)


def _http(request: Request, error: Exception) -> Response:
    """A person who asks for a page without being known is led to where tokens are asked for."""
    assert isinstance(error, HTTPException)
    wants_page = "text/html" in request.headers.get("accept", "")
    if error.status_code == HTTPStatus.UNAUTHORIZED and wants_page and request.method == "GET":
        return RedirectResponse("/login", status_code=HTTPStatus.SEE_OTHER)
    return problem(error.status_code, str(error.detail), headers=error.headers)


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    wrong = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    return problem(422, "; ".join(wrong))


def _ours(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SupcamError)
    if isinstance(error, QueueFullError):
        return problem(429, error.reason, headers={"Retry-After": str(error.retry_after_s)})
    status = {NotThereError: 404, NotAllowedError: 409}.get(type(error), 422)
    return problem(status, error.reason)  # the place is nothing that a stranger need know


def _database(_request: Request, error: Exception) -> Response:
    """A number beyond the database's range is the request's fault, all else is the database's trouble."""
    _LOG.error("the database says %s", type(getattr(error, "orig", error)).__name__)
    if isinstance(error, DBAPIError) and "full" in str(error.orig):
        return problem(507, "no room for the database", headers={"Retry-After": str(_AGAIN_S)})
    return problem(503, "the database cannot be reached now", headers={"Retry-After": str(_AGAIN_S)})


def _disk(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    _LOG.error("the disk says %s", errno.errorcode.get(error.errno or 0, "nothing"))
    status = 507 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 503
    return problem(status, "no room on the disk, or it failed", headers={"Retry-After": str(_AGAIN_S)})


def _unexpected(_request: Request, error: Exception) -> Response:
    _LOG.error("unexpected %s", type(error).__name__, exc_info=error)
    return problem(500, "an error of the service; its log says more")
