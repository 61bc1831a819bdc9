"""A service for tests: a store on SQLite or PostgreSQL, a tiny model, drawn pictures."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import cv2
import httpx2
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import create_engine, make_url, text
from tests.drawn_spreads import KEEPS_ALL, drawn, tiny_spread_model
from tests.tiny_bundle import write_tiny

from supcam.pack.bundle import Model
from supcam.spread.analyze import analyze
from supcam.web.app import create_app
from supcam.web.config import Limits, ServiceConfig
from supcam.web.database import Database
from supcam.web.jobs import Claim, Terms, claim, finish, submit
from supcam.web.recording import record_of
from supcam.web.store import Upload
from supcam.web.vault import Vault
from supcam.web.workers import Worker

POSTGRES = os.environ.get("SUPCAM_TEST_POSTGRES", "")
BACKENDS = ["sqlite", *(["postgresql"] if POSTGRES else [])]


@contextmanager
def new_database_url(backend: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database, gone afterwards."""
    if backend == "sqlite":
        yield f"sqlite:///{folder / 'supcam.sqlite'}"
        return
    name = f"supcam_{secrets.token_hex(6)}"
    server = create_engine(
        make_url(POSTGRES).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        server.dispose()


@cache
def picture_bytes(seed: int = 0) -> bytes:
    """A drawn metaphase as a PNG file."""
    _, content = cv2.imencode(".png", drawn(seed).grey)
    return content.tobytes()


def tiny_folder(folder: Path, *, type_bias: float = 0.0) -> Path:
    """A folder of a tiny model that rejects nothing."""
    write_tiny(folder, calibration=KEEPS_ALL, type_bias=type_bias)
    return folder


def tiny_model(folder: Path) -> Model:
    """The same, loaded."""
    return tiny_spread_model(folder)


def upload(vault: Vault, *, seed: int = 0, case: str = "K-1", name: str = "spread.png") -> Upload:
    """A drawn metaphase, in the vault and ready to be submitted."""
    content = picture_bytes(seed)
    return Upload("metaphase", sha256=vault.put(content), n_bytes=len(content), case=case, name=name)


def terms(model: Model, *, worker: str = "w1", lease_s: float = 30.0) -> Terms:
    """The terms of a worker."""
    return Terms(worker=worker, model_seal=model.card.seal, lease_s=lease_s, max_attempts=3)


def read_one(database: Database, *, vault: Vault, model: Model) -> Claim:
    """The next job, read and finished as a worker does it."""
    job = claim(database, terms(model))
    assert job is not None
    analysis = analyze(vault.path(job.sha256), model=model)
    record = record_of(analysis, image_id=job.image_id, model=model, vault=vault)
    assert finish(database, job.job_id, worker="w1", record=record)
    return job


def stored(database: Database, *, vault: Vault, model: Model, seeds: tuple[int, ...] = (0,)) -> list[str]:
    """The ids of drawn metaphases, handed in and read."""
    files = [upload(vault, seed=seed) for seed in seeds]
    submit(database, files, model_seal=model.card.seal, limit=100, actor="ann")
    for _ in seeds:
        read_one(database, vault=vault, model=model)
    return [each.image_id for each in files]


# The API ----------------------------------------------------------------------------------------------------


def service_config(folder: Path, *, model: Path, url: str = "", **more: object) -> ServiceConfig:
    """The settings of a service for tests; ``more`` as in ``ServiceConfig``."""
    values: dict[str, object] = {
        "data": folder / "data",
        "database": url,
        "model": model,
        "workers": 0,
        "limits": Limits(requests_per_s=10_000, burst=100_000, min_free_bytes=0),
    }
    return ServiceConfig.model_validate(values | more)


@contextmanager
def serving(config: ServiceConfig, *, host: str = "127.0.0.1:8000") -> Iterator[TestClient]:
    """A service in this process, asked directly."""
    app = create_app(config)
    with TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False) as client:
        yield client


def post_pictures(client: TestClient, *contents: bytes, kind: str = "metaphases", case: str = "") -> Response:
    """The answer to pictures handed in."""
    files = [("files", (f"{n}.png", content)) for n, content in enumerate(contents)]
    return client.post(f"/api/v1/{kind}", files=files, data={"case": case})


def read_all(config: ServiceConfig) -> int:
    """The number of jobs that a worker in this process has read."""
    worker = Worker(config, name="here")
    n = 0
    while worker.work_once():
        n += 1
    worker.database.close()
    return n


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served(config: ServiceConfig, *, extra: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """``supcam serve`` in a process of its own, at the port of ``config``; killed in the end."""
    command = [
        sys.executable,
        "-m",
        "supcam",
        "serve",
        "--port",
        str(config.port),
        "--data",
        str(config.data),
    ]
    command += ["--workers", str(config.workers), *extra]
    command += ["--model", str(config.model)] if config.model else []
    command += ["--database", config.database] if config.database else []
    with (
        log_of(config).open("ab") as log,
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log) as process,
    ):
        try:
            wait_until(lambda: is_ready(config.port) or process.poll() is not None, timeout_s=300.0)
            assert process.poll() is None, log_of(config).read_text()
            yield process
        finally:
            process.kill()


def workers_of(pid: int) -> list[int]:
    """The workers of a server; the process that watches over shared memory is none."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    found = {int(each) for each in listed.split()}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(each) for each in (thread / "children").read_text().split()}
    return [each for each in found if b"spawn_main" in Path(f"/proc/{each}/cmdline").read_bytes()]


def log_of(config: ServiceConfig) -> Path:
    """What the server at the port of ``config`` said."""
    return config.data.with_name(f"server-{config.port}.log")


def is_ready(port: int) -> bool:
    """Whether a service answers there and can work."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=1.0).status_code == 200
    except httpx2.HTTPError:
        return False


def wait_until(holds: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    """Comes back when ``holds()``; the test fails after ``timeout_s``."""
    until = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)
