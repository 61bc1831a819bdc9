"""What all routes share: configuration, store, files, model, workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query, Request

from supcam.pack.bundle import Model, load_model
from supcam.web.access import needs
from supcam.web.config import ServiceConfig
from supcam.web.database import Database, open_database
from supcam.web.meters import Meters
from supcam.web.results import Window
from supcam.web.tokens import Actor
from supcam.web.vault import Vault
from supcam.web.workers import Keeper, image_config


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """An open service; its workers are at work between ``keeper.start()`` and ``keeper.stop()``."""

    config: ServiceConfig
    database: Database
    vault: Vault
    model: Model
    keeper: Keeper
    meters: Meters


def open_service(config: ServiceConfig) -> Service:
    """The service of ``config``, its tables brought up to date. Raises ``SupcamError``, ``OSError``."""
    config.vault.mkdir(parents=True, exist_ok=True, mode=0o700)
    model = load_model(config.model, threads=1, image=image_config(config.limits))
    database = open_database(config.database_url)
    keeper = Keeper(config, database=database)
    return Service(
        config=config,
        database=database,
        vault=Vault(config.vault),
        model=model,
        keeper=keeper,
        meters=Meters(database=database, keeper=keeper),
    )


def _service(request: Request) -> Service:
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


def _window(
    offset: Annotated[int, Query(ge=0, le=10**9, description="Where the list begins.")] = 0,
    limit: Annotated[int, Query(ge=1, le=500, description="How many at most.")] = 100,
) -> Window:
    return Window(offset=offset, limit=limit)


Served = Annotated[Service, Depends(_service)]
Paged = Annotated[Window, Depends(_window)]
Reader = Annotated[Actor, Depends(needs("reader"))]
Reviewer = Annotated[Actor, Depends(needs("reviewer"))]
Admin = Annotated[Actor, Depends(needs("admin"))]
