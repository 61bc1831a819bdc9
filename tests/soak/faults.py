"""What may go wrong around a service: workers and servers killed, no database, a full disk, clients gone."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
from sqlalchemy import func, select
from tests.postgres import Postgres
from tests.service import is_ready, served, wait_until, workers_of
from tests.soak.crops import jobs_by_state
from tests.soak.machine import Use, use_of
from tests.soak.pictures import crop_bytes

from supcam.web.config import ServiceConfig
from supcam.web.database import open_database
from supcam.web.tables import AnalysisRow, Image, PredictionRow

_WAIT_S = 900.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: crops accepted and read, whether any was read twice, what clients were told."""

    n_faults: int
    n_accepted: int
    n_done: int
    n_failed: int
    n_twice: int
    told: dict[str, int]
    seconds_to_ready: float

    @property
    def is_whole(self) -> bool:
        """Whether all that was accepted was read, and nothing twice."""
        return self.n_done == self.n_accepted and not self.n_twice and not self.n_failed


def _settings(folder: Path, *, more: str = "") -> tuple[str, str]:
    path = folder / "faults.toml"
    limits = f"[limits]\nmin_free_bytes = 0\nrequests_per_s = 1000000.0\nburst = 1000000\n{more}"
    path.write_text(f"lease_s = 2.0\n{limits}", encoding="utf-8")
    return ("--config", str(path))


def client_of(config: ServiceConfig) -> httpx2.Client:
    """Asks the service at the port of ``config``."""
    return httpx2.Client(base_url=f"http://127.0.0.1:{config.port}", timeout=60.0)


def hand_in(http: httpx2.Client, number: int) -> int:
    """The status of the answer to crop ``number``; 0 when there was none."""
    try:
        answer = http.post("/api/v1/clusters", files=[("files", ("x.png", crop_bytes(number)))])
    except httpx2.HTTPError:
        return 0
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        assert answer.status_code == 202 or int(answer.headers["retry-after"]) >= 1
    return answer.status_code


def hand_in_all(http: httpx2.Client, numbers: range, *, told: Counter[str]) -> None:
    """Every crop, again and again until it is accepted, as a client does that was told to come back."""
    for number in numbers:
        until = time.monotonic() + _WAIT_S
        while (status := hand_in(http, number)) != 202:
            told[str(status or "no answer")] += 1
            assert time.monotonic() < until, f"crop {number} was never accepted"
            time.sleep(0.2)
        told["202"] += 1


def _ended(http: httpx2.Client) -> bool:
    try:
        states = jobs_by_state(http)
    except httpx2.HTTPError:
        return False
    return bool(states) and not states.get("queued", 0) and not states.get("running", 0)


def _outcome(
    config: ServiceConfig, *, n_faults: int, n_accepted: int, told: Counter[str], to_ready_s: float = 0.0
) -> Outcome:
    """Counted in the store itself."""
    database = open_database(config.database_url, upgrade=False)
    try:
        with database.reading() as session:
            twice = select(PredictionRow.object_id).group_by(PredictionRow.object_id).having(func.count() > 1)
            n_twice = len(session.scalars(twice).all())
            n_done = session.scalar(select(func.count()).select_from(AnalysisRow)) or 0
            n_images = session.scalar(select(func.count()).select_from(Image)) or 0
    finally:
        database.close()
    return Outcome(
        n_faults=n_faults,
        n_accepted=n_accepted,
        n_done=n_done,
        n_failed=n_images - n_done,
        n_twice=n_twice,
        told=dict(sorted(told.items())),
        seconds_to_ready=round(to_ready_s, 2),
    )


def kill_workers(config: ServiceConfig, *, n_crops: int, n_kills: int) -> Outcome:
    """Workers are killed at any moment while crops are read."""
    told, chance = Counter[str](), random.Random(6)
    config.data.parent.mkdir(parents=True, exist_ok=True)
    with served(config, extra=_settings(config.data.parent)) as server, client_of(config) as http:
        share = max(1, n_crops // n_kills)
        for start in range(0, n_crops, share):
            hand_in_all(http, range(start, min(n_crops, start + share)), told=told)
            wait_until(lambda: bool(workers_of(server.pid)), timeout_s=_WAIT_S)
            time.sleep(chance.uniform(0.0, 0.3))
            _kill(chance.choice(workers_of(server.pid) or [0]))
        begun = time.monotonic()
        wait_until(lambda: _ended(http) and is_ready(config.port), timeout_s=_WAIT_S)
        waited = time.monotonic() - begun
    return _outcome(config, n_faults=n_kills, n_accepted=n_crops, told=told, to_ready_s=waited)


def _kill(pid: int) -> None:
    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def kill_servers(config: ServiceConfig, *, n_crops: int, n_kills: int) -> Outcome:
    """The whole server is killed while crops are read, and started again."""
    told, share, longest = Counter[str](), n_crops // (n_kills + 1) + 1, 0.0
    config.data.parent.mkdir(parents=True, exist_ok=True)
    extra = _settings(config.data.parent)
    for start in range(0, n_crops, share):
        begun = time.monotonic()
        with served(config, extra=extra) as server, client_of(config) as http:
            longest = max(longest, time.monotonic() - begun)
            hand_in_all(http, range(start, min(n_crops, start + share)), told=told)
            if start + share >= n_crops:
                wait_until(lambda: _ended(http), timeout_s=_WAIT_S)
            server.kill()
            server.wait()
    return _outcome(config, n_faults=n_kills, n_accepted=n_crops, told=told, to_ready_s=longest)


def stop_database(
    config: ServiceConfig, *, cluster: Postgres, n_crops: int, n_stops: int, down_s: float = 2.0
) -> Outcome:
    """PostgreSQL is stopped and started while crops are handed in and read; the server is not touched."""
    told, share, longest = Counter[str](), max(1, n_crops // (n_stops + 1)), 0.0
    config = config.model_copy(update={"database": cluster.url})
    config.data.parent.mkdir(parents=True, exist_ok=True)
    with served(config, extra=_settings(config.data.parent)) as server, client_of(config) as http:
        for number, start in enumerate(range(0, n_crops, share)):
            hand_in_all(http, range(start, min(n_crops, start + share)), told=told)
            if number < n_stops:
                cluster.stop("immediate" if number % 2 else "fast")
                told[f"{hand_in(http, n_crops + number)} while down"] += 1
                assert http.get("/healthz").status_code == 200
                told[f"readyz {http.get('/readyz').status_code} while down"] += 1
                time.sleep(down_s)
                begun = time.monotonic()
                cluster.start()
                wait_until(lambda: is_ready(config.port), timeout_s=_WAIT_S)
                longest = max(longest, time.monotonic() - begun)
        wait_until(lambda: _ended(http), timeout_s=_WAIT_S)
        assert server.poll() is None
    return _outcome(config, n_faults=n_stops, n_accepted=n_crops, told=told, to_ready_s=longest)


@contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A disk of so many megabytes mounted at ``folder``, with what makes it larger. Raises ``OSError``."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)],
        check=False,
        capture_output=True,
    )
    if done.returncode:
        raise OSError("no disk may be mounted here")

    def enlarge(to_megabytes: int) -> None:
        subprocess.run(["mount", "-o", f"remount,size={to_megabytes}m", str(folder)], check=True)

    try:
        yield enlarge
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill_disk(config: ServiceConfig, *, megabytes: int, enlarge: Callable[[int], None]) -> Outcome:
    """Crops are handed in until the disk of the data folder is full; then it is made larger."""
    told, refused, number = Counter[str](), 0, 0
    extra = _settings(config.data.parent.parent)
    with served(config, extra=extra) as server, client_of(config) as http:
        while refused < 20:
            status = hand_in(http, number)
            told[str(status or "no answer")] += 1
            refused = refused + 1 if status != 202 else 0
            number += 1
        assert http.get("/healthz").status_code == 200
        enlarge(8 * megabytes)
        begun = time.monotonic()
        hand_in_all(http, range(number), told=told)
        wait_until(lambda: _ended(http) and is_ready(config.port), timeout_s=_WAIT_S)
        waited = time.monotonic() - begun
        assert server.poll() is None
        return _outcome(config, n_faults=1, n_accepted=number, told=told, to_ready_s=waited)


@dataclass(frozen=True, slots=True)
class Gone:
    """Clients that went away: what is left of them, and what the service takes before and after."""

    n_clients: int
    n_pictures: int
    n_files_left: int
    before: Use
    after: Use


def leave(config: ServiceConfig, *, n_clients: int) -> Gone:
    """Clients that go away in the middle of an upload, each at another place of it."""
    content = crop_bytes(0)
    told = (
        f"POST /api/v1/clusters HTTP/1.1\r\nHost: 127.0.0.1:{config.port}\r\n"
        f"Content-Length: {len(content) + 500}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    ).encode() + content
    config.data.parent.mkdir(parents=True, exist_ok=True)
    with served(config, extra=_settings(config.data.parent)) as server, client_of(config) as http:
        http.get("/api/v1/images").raise_for_status()
        before = use_of(server.pid)
        for number in range(n_clients):
            with socket.create_connection(("127.0.0.1", config.port)) as gone:
                gone.sendall(told[: 1 + (number * len(told)) // n_clients])
        wait_until(lambda: use_of(server.pid).n_files <= before.n_files + 2, timeout_s=_WAIT_S)
        images = http.get("/api/v1/images").raise_for_status().json()["items"]
        left = [path for path in config.vault.rglob("*") if path.is_file()]
        return Gone(
            n_clients=n_clients,
            n_pictures=len(images),
            n_files_left=len(left),
            before=before,
            after=use_of(server.pid),
        )
