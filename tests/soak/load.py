"""Clients that never pause: requests a second, how long each takes, what memory, and what is beyond."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx2
from tests.drawn_spreads import drawn
from tests.service import served, wait_until
from tests.soak.crops import jobs_by_state
from tests.soak.machine import Use, load_average, processor_s, use_of
from tests.soak.pictures import crop_bytes

from supcam.web.config import ServiceConfig

N_CLIENTS = (1, 8, 64)
_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_WIDE = "[limits]\nrequests_per_s = 1000000.0\nburst = 1000000\n"
"""All clients of a load run come from one address: the limit of one client would hold them all back."""
_SLOW = "[limits]\nrequests_per_s = 5.0\nburst = 20\n"
_TIGHT = "[limits]\nqueue = 40\nrequests_per_s = 1000000.0\nburst = 1000000\n"


@dataclass(frozen=True, slots=True)
class Answers:
    """Requests of one kind: how many a second, how many failed, milliseconds by share of the requests."""

    n: int
    n_failed: int
    per_s: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    worst_ms: float


@dataclass(frozen=True, slots=True)
class Load:
    """So many clients at once, all requests and by kind, and what the service took at its most.

    ``server_ms_each`` is the server's processor time for a request: it is the same on a busy machine.
    """

    n_clients: int
    seconds: float
    all: Answers
    by_kind: dict[str, Answers]
    server_ms_each: float
    use: Use
    load: list[float]


@dataclass(frozen=True, slots=True)
class Beyond:
    """Requests beyond a limit: answers by status, whether each refusal tells when to come back."""

    n_requests: int
    by_status: dict[str, int]
    all_tell_when: bool
    n_accepted: int
    n_done: int
    is_ready: bool
    use: Use


@contextmanager
def _prepared(config: ServiceConfig, *, toml: str, n_crops: int = 40) -> Iterator[tuple[int, httpx2.Client]]:
    """A service with some crops and a metaphase to look at: its process id, and a client."""
    config.data.mkdir(parents=True, exist_ok=True)
    settings = config.data.with_suffix(".toml")
    settings.write_text(toml, encoding="utf-8")
    home = f"http://127.0.0.1:{config.port}"
    with (
        served(config, extra=("--config", str(settings))) as server,
        httpx2.Client(base_url=home, timeout=300.0) as http,
    ):
        if n_crops:
            _hand_in(http, [crop_bytes(number) for number in range(n_crops)], kind="clusters")
            _hand_in(http, [cv2.imencode(".png", drawn(1).grey)[1].tobytes()], kind="metaphases")
            wait_until(lambda: _is_idle(http), timeout_s=300)
        yield server.pid, http


def _hand_in(http: httpx2.Client, contents: Sequence[bytes], *, kind: str) -> None:
    files = [("files", ("x.png", content)) for content in contents]
    http.post(f"/api/v1/{kind}", files=files).raise_for_status()


def _is_idle(http: httpx2.Client) -> bool:
    states = jobs_by_state(http)
    return states.get("queued", 0) + states.get("running", 0) == 0


def measure(config: ServiceConfig, *, n_clients: Sequence[int] = N_CLIENTS, seconds: float) -> list[Load]:
    """One load after the other on the same service, each for so long, with what was handed in before read."""
    found = []
    with _prepared(config, toml=_WIDE) as (server, http):
        for number, n in enumerate(n_clients):
            found.append(
                _under(config, server=server, n_clients=n, seconds=seconds, first=10_000 * (number + 1))
            )
            wait_until(lambda: _is_idle(http), timeout_s=1800)
    return found


def _under(config: ServiceConfig, *, server: int, n_clients: int, seconds: float, first: int) -> Load:
    seen, stop, before = [use_of(server)], threading.Event(), processor_s(server)

    def watch() -> None:
        while not stop.wait(0.5):
            seen.append(use_of(server))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        rows = locust(config, n_clients=n_clients, seconds=seconds, first=first)
    finally:
        stop.set()
        watcher.join()
    everything = answers(rows, seconds=seconds)
    return Load(
        n_clients=n_clients,
        seconds=seconds,
        all=everything,
        by_kind={
            kind: answers([row for row in rows if str(row["name"]) == kind], seconds=seconds)
            for kind in sorted({str(row["name"]) for row in rows})
        },
        server_ms_each=round(1000 * (processor_s(server) - before) / max(1, everything.n), 2),
        use=most(seen),
        load=load_average(),
    )


def most(seen: Sequence[Use]) -> Use:
    """The most of each that was seen."""
    return Use(
        server_mb=max(use.server_mb for use in seen),
        worker_mb=max(use.worker_mb for use in seen),
        n_threads=max(use.n_threads for use in seen),
        n_files=max(use.n_files for use in seen),
    )


def locust(config: ServiceConfig, *, n_clients: int, seconds: float, first: int) -> list[dict[str, object]]:
    """What Locust, in a process of its own, says of each kind of request."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable, "-m", "locust", "--headless", "--locustfile", str(_LOCUSTFILE),
            "--host", f"http://127.0.0.1:{config.port}", "--users", str(n_clients),
            "--spawn-rate", str(n_clients), "--run-time", f"{seconds:g}s", "--stop-timeout", "60",
            "--exit-code-on-error", "0", "--json-file", f"{folder}/stats",
        ]  # fmt: skip
        environment = os.environ | {"SUPCAM_SOAK_FIRST_CROP": str(first)}
        subprocess.run(command, check=True, capture_output=True, env=environment)
        (written,) = Path(folder).iterdir()
        rows: list[dict[str, object]] = json.loads(written.read_text(encoding="utf-8"))
    return rows


def answers(rows: Sequence[Mapping[str, object]], *, seconds: float) -> Answers:
    """Rows of Locust put together; its times are rounded to two places beyond 100 ms."""
    times: Counter[float] = Counter()
    for row in rows:
        for ms, n in dict(row["response_times"]).items():  # type: ignore[call-overload]
            times[float(ms)] += int(n)
    n = sum(times.values())
    return Answers(
        n=n,
        n_failed=sum(int(str(row["num_failures"])) for row in rows),
        per_s=round(n / seconds, 1),
        median_ms=share(times, at=0.5),
        p95_ms=share(times, at=0.95),
        p99_ms=share(times, at=0.99),
        worst_ms=max(times, default=0.0),
    )


def share(times: Mapping[float, int], *, at: float) -> float:
    """The time that this share of the requests did not exceed; 0 without any."""
    left = at * sum(times.values())
    for ms in sorted(times):
        left -= times[ms]
        if left <= 1e-9:
            return ms
    return 0.0


def too_often(config: ServiceConfig, *, seconds: float) -> Beyond:
    """One client that asks as fast as it can, where one may ask five times a second."""
    with _prepared(config, toml=_SLOW, n_crops=0) as (server, http):
        until, told, waits = time.monotonic() + seconds, Counter[str](), list[str]()
        while time.monotonic() < until:
            answer = http.get("/api/v1/images?limit=1")
            told[str(answer.status_code)] += 1
            if answer.status_code == 429:
                waits.append(answer.headers.get("retry-after", ""))
        time.sleep(max((int(wait) for wait in waits), default=0))
        return _beyond(http, server, told=told, waits=waits, n_accepted=0)


def too_much(config: ServiceConfig, *, n_crops: int, n_clients: int = 8) -> Beyond:
    """Crops handed in far faster than they are read, to a queue of 40, each until it is taken."""
    told, waits, lock = Counter[str](), list[str](), threading.Lock()
    with _prepared(config, toml=_TIGHT, n_crops=0) as (server, http):

        def hand_in(numbers: range) -> None:
            for number in numbers:
                while True:
                    answer = http.post("/api/v1/clusters", files=[("files", ("x.png", crop_bytes(number)))])
                    with lock:
                        told[str(answer.status_code)] += 1
                        waits.extend([answer.headers.get("retry-after", "")] * (answer.status_code == 429))
                    if answer.status_code != 429:
                        break
                    time.sleep(min(1.0, float(answer.headers.get("retry-after", "1"))))

        clients = [
            threading.Thread(target=hand_in, args=(range(start, n_crops, n_clients),))
            for start in range(n_clients)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        wait_until(lambda: _is_idle(http), timeout_s=1800)
        return _beyond(http, server, told=told, waits=waits, n_accepted=told["202"])


def _beyond(
    http: httpx2.Client, server: int, *, told: Counter[str], waits: Sequence[str], n_accepted: int
) -> Beyond:
    return Beyond(
        n_requests=told.total(),
        by_status=dict(sorted(told.items())),
        all_tell_when=all(wait.isdigit() and int(wait) >= 1 for wait in waits),
        n_accepted=n_accepted,
        n_done=jobs_by_state(http).get("done", 0),
        is_ready=http.get("/readyz").status_code == 200,
        use=use_of(server),
    )
