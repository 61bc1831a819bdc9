"""Requests drawn from the OpenAPI document (Schemathesis): one by one, and along its links."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from sqlalchemy import text
from tests.service import picture_bytes, post_pictures, read_all, serving, tiny_folder

from supcam.web.app import create_app
from supcam.web.config import Limits, ServiceConfig
from supcam.web.database import Database
from supcam.web.tokens import create_token

_SETTINGS: dict[str, Any] = {
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "deadline": None,
}
_LEFT_OUT: list[Any] = [positive_data_acceptance, negative_data_rejection]
"""No document of this kind can say that drawn bytes are no picture, that two fields exclude each other; and a
parameter that nobody knows is passed over, which the second check takes for bad data accepted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """How many operations and links there are, and how many requests kept to the document.

    ``n_led``: those that a link led to something that was there; drawn ids lead nowhere.
    """

    n_operations: int
    n_links: int
    n_requests: int
    n_sequences: int
    n_led: int


def keep_to_it(config: ServiceConfig, *, n_each: int, n_sequences: int | None = None) -> Kept:
    """So many requests at every operation, then sequences of them; the first that breaks the document raises.

    The service holds a picture that was read, so that links lead somewhere.
    """
    limits = Limits(requests_per_s=1e6, burst=10**6, bad_tokens_per_min=1e6, min_free_bytes=0)
    model = config.model or tiny_folder(config.data.parent / "model")
    config = config.model_copy(update={"workers": 0, "limits": limits, "model": model})
    with serving(config) as client:
        post_pictures(client, picture_bytes(0), case="K-0042")
        read_all(config)
    app = create_app(config.model_copy(update={"require_token": True}))
    token = create_token(app.state.service.database, name="ann", role="admin", actor="test").text
    here = {"Authorization": f"Bearer {token}"}
    api = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=here)
    operations = [found.ok() for found in api.get_all_operations() if isinstance(found, Ok)]
    wanted = n_each if n_sequences is None else n_sequences
    database = app.state.service.database
    n_steps, n_led = _in_sequence(
        api, here=here, n=wanted, begin=partial(_restore, database, _copy_of(database))
    )
    n_requests = sum(_one_by_one(operation, here=here, n=n_each) for operation in operations)
    database.close()
    return Kept(
        n_operations=len(operations),
        n_links=sum(len(answer.get("links", {})) for answer in _answers(api.raw_schema)),
        n_requests=n_requests + n_steps,
        n_sequences=wanted,
        n_led=n_led,
    )


def _answers(document: Any) -> list[dict[str, Any]]:  # noqa: ANN401  whatever stands in it
    operations = [operation for each in document["paths"].values() for operation in each.values()]
    return [answer for operation in operations for answer in operation["responses"].values()]


def _copy_of(database: Database) -> Path:
    """The SQLite database as it is now, in a file of its own."""
    path = Path(f"{database.engine.url.database}.copy")
    with database.reading() as session:
        session.execute(text("VACUUM INTO :path"), {"path": str(path)})
    return path


def _restore(database: Database, copy: Path) -> None:
    """The database as it was then: sequences do not depend on those before them."""
    with (
        closing(sqlite3.connect(copy)) as source,
        closing(sqlite3.connect(str(database.engine.url.database))) as target,
    ):
        source.backup(target)


def _one_by_one(operation: Any, *, here: dict[str, str], n: int) -> int:  # noqa: ANN401  Schemathesis' own
    n_sent = 0

    @settings(max_examples=n, **_SETTINGS)
    @given(case=operation.as_strategy())
    def keeps_to_it(case: schemathesis.Case[Any]) -> None:
        nonlocal n_sent
        n_sent += 1
        case.call_and_validate(headers=here, excluded_checks=_LEFT_OUT)

    keeps_to_it()
    return n_sent


def _in_sequence(
    api: Any,  # noqa: ANN401
    *,
    here: dict[str, str],
    n: int,
    begin: Callable[[], None],
) -> tuple[int, int]:
    n_sent = n_led = 0
    lasting = api.exclude(operation_id="post_purge")  # it removes files, which no database brings back

    class Sequences(lasting.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            begin()

        def get_call_kwargs(self, case: schemathesis.Case[Any]) -> dict[str, Any]:
            return {"headers": here}

        def validate_response(self, response: Any, case: schemathesis.Case[Any], **_more: Any) -> None:  # noqa: ANN401
            nonlocal n_sent, n_led
            n_sent, n_led = n_sent + 1, n_led + ("{" in case.path and response.status_code < 300)
            case.validate_response(response, excluded_checks=_LEFT_OUT)

    Sequences.run(settings=settings(max_examples=n, stateful_step_count=6, **_SETTINGS))
    return n_sent, n_led
