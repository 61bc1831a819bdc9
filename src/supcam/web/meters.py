"""What Prometheus may know: requests by route, jobs by state, workers; no id, no name."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from supcam.web.database import Database
from supcam.web.jobs import DONE, FAILED, QUEUED, RUNNING
from supcam.web.tables import Job
from supcam.web.workers import Keeper

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Meters:
    """The meters of one service."""

    def __init__(self, *, database: Database, keeper: Keeper) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Queue(database, keeper=keeper))
        labels = ("method", "route")
        self._requests = Counter(
            "supcam_requests", "Requests answered.", (*labels, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "supcam_request_seconds", "Time to the whole answer.", labels, registry=self._registry
        )

    def text(self) -> bytes:
        """All of them in Prometheus' text form."""
        return generate_latest(self._registry)

    def count(self, scope: Scope, *, status: int, seconds: float) -> None:
        """One request more."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class Metered:
    """ASGI middleware: every answer is counted, and tells the browser what it may do with it."""

    def __init__(self, app: ASGIApp, *, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                known = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in HEADERS if name not in known),
                ]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._meters.count(scope, status=status, seconds=time.perf_counter() - begun)


HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; img-src 'self' blob:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""A page of ours loads nothing from elsewhere and runs no script that stands in it; nobody frames it."""


class _Queue(Collector):
    """Jobs and workers, counted when they are asked for."""

    def __init__(self, database: Database, *, keeper: Keeper) -> None:
        self._database, self._keeper = database, keeper

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        jobs = GaugeMetricFamily("supcam_jobs", "Jobs by state.", labels=["state"])
        try:
            with self._database.reading() as session:
                query = select(Job.state, func.count()).group_by(Job.state)
                counts = {state: int(n) for state, n in session.execute(query)}
        except SQLAlchemyError:
            counts = {}
        else:
            for state in (QUEUED, RUNNING, DONE, FAILED):
                jobs.add_metric([state], counts.get(state, 0))
        yield jobs
        yield GaugeMetricFamily("supcam_workers", "Workers alive.", value=len(self._keeper.pids))
        yield GaugeMetricFamily("supcam_workers_lost", "Workers that died.", value=self._keeper.n_lost)
