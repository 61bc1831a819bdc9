"""The errands behind the commands: the service run by Uvicorn, a purge, a database opened for a moment."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from supcam.core.config import parse_config, read_toml
from supcam.core.types import ConfigError, SupcamError
from supcam.web.app import create_app
from supcam.web.config import ServiceConfig
from supcam.web.database import Database, open_database
from supcam.web.export import write_training_set
from supcam.web.purge import purge
from supcam.web.results import Window
from supcam.web.schemas import PurgeOrder
from supcam.web.second_look import second_look
from supcam.web.tokens import list_tokens
from supcam.web.vault import Vault


def run(given: Mapping[str, object], *, toml: Path | None) -> None:
    """The service until it is stopped. Raises ``SupcamError``.

    ``toml`` may hold what the command line does not say, the limits above all.
    """
    config = service_config(given, toml=toml)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    try:
        config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        app = create_app(config)
    except OSError as error:
        raise SupcamError(
            f"that it cannot be used ({error.strerror or error})",
            expected="a folder that may be written to",
            remedy="choose another --data",
            where=config.data,
        ) from error
    _warn(config, database=app.state.service.database)
    uvicorn.run(
        app,
        host=config.host,
        port=config.port,
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=65_536,
    )


def service_config(given: Mapping[str, object], *, toml: Path | None) -> ServiceConfig:
    """All settings. Raises ``ConfigError`` where the file says again what the command line says."""
    more = read_toml(toml) if toml else {}
    twice = sorted(set(more) & set(given))
    if twice:
        raise ConfigError(
            f"{', '.join(twice)} in the file",
            expected="settings that have no option: lease_s and the table [limits]",
            remedy="give the others on the command line",
            where=toml or "",
        )
    return parse_config(ServiceConfig, {**more, **given}, where=toml or "options")


def _warn(config: ServiceConfig, *, database: Database) -> None:
    valid = [row for row in list_tokens(database) if row.revoked_s is None]
    if config.needs_token and not valid:
        logging.getLogger("supcam.web").warning("nobody can come in: make a token (supcam token create)")


@contextmanager
def opened(*, data: Path, database: str) -> Iterator[Database]:
    """The store of a service, for a moment. Raises ``SupcamError``."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = open_database(ServiceConfig(data=data, database=database).database_url)
    try:
        yield store
    finally:
        store.close()


def purge_now(*, case: str | None, older_than_days: float | None, data: Path, database: str) -> str:
    """What was purged, in one line. Raises ``SupcamError`` unless just one of the two is given."""
    if (case is None) == (older_than_days is None):
        raise SupcamError(
            "neither or both of --case and --older-than", expected="one of them", remedy="say what to purge"
        )
    order = PurgeOrder(case=case, older_than_days=older_than_days)
    with opened(data=data, database=database) as store:
        vault = Vault(ServiceConfig(data=data).vault)
        done = purge(store, vault, order=order, actor="terminal")
    return (
        f"{done.n_images} pictures purged, {done.n_files} files removed; "
        f"{done.n_decisions_kept} decisions stay"
    )


def decisions_now(path: Path, *, data: Path, database: str = "") -> int:
    """The number of decided objects in the training set now at ``path``, a ZIP. Raises ``SupcamError``."""
    with opened(data=data, database=database) as store, path.open("wb") as file, store.reading() as session:
        return write_training_set(session, file, vault=Vault(ServiceConfig(data=data).vault))


def second_look_now(*, data: Path, database: str, limit: int) -> Iterator[str]:
    """Decisions that are likely wrong as lines of a CSV, the likeliest first. Raises ``SupcamError``."""
    yield "object_id,image_id,number,decided_type,suggested_type,quality,likely_wrong"
    with opened(data=data, database=database) as store, store.reading() as session:
        for item in second_look(session, Window(limit=limit), likely=False).items:
            place = f"{item.object.id},{item.object.image_id},{item.object.number}"
            said = f"{item.decided_type},{item.suggested_type},{item.quality:.4f}"
            yield f"{place},{said},{int(item.is_likely_wrong)}"
