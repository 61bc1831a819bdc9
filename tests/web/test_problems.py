from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from supcam.core.types import ImageError
from supcam.web.jobs import QueueFullError
from supcam.web.problems import MEDIA_TYPE, add_handlers
from supcam.web.store import NotAllowedError, NotThereError

WORDS = {"expected": "something", "remedy": "do it"}
ERRORS = [
    (HTTPException(418, "short and stout"), 418),
    (NotThereError("nothing", **WORDS), 404),
    (NotAllowedError("no", **WORDS), 409),
    (ImageError("no picture", **WORDS, where="/secret/place.png"), 422),
    (QueueFullError(9, limit=9), 429),
    (OperationalError("SELECT secret", {}, Exception("gone")), 503),
    (OperationalError("INSERT", {}, Exception("database or disk is full")), 507),
    (OSError(28, "No space left on device"), 507),
    (OSError(5, "Input/output error"), 503),
    (RuntimeError("secret"), 500),
]


@pytest.mark.parametrize(("error", "status"), ERRORS, ids=lambda value: str(value)[:20])
def test_every_error_has_one_form_and_tells_no_secret(error: Exception, status: int) -> None:
    app = FastAPI()
    add_handlers(app)

    @app.get("/")
    def fail() -> None:
        raise error

    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert answer.status_code == status
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert set(answer.json()) == {"type", "title", "status", "detail"}
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) is (status in (429, 503, 507))
