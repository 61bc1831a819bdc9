"""Many crops, one after the other, while somebody reviews: all read once, and memory stays flat."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import httpx2
import numpy as np
from tests.service import served
from tests.soak.machine import Use, load_average, use_of
from tests.soak.pictures import crop_bytes

from supcam.web.config import ServiceConfig

_AT_ONCE = 20
_AHEAD = 100
"""So many crops at most are waiting; the service would take more."""
_WARM = 0.2
"""The first share of a run, in which caches fill."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How far a run is, what the service takes, and how long a reviewer waits for what they ask."""

    n_done: int
    seconds: float
    use: Use
    look_ms: float
    decide_ms: float
    stored_mb: float
    load: float


@dataclass(frozen=True, slots=True)
class Endurance:
    """What came of a run. Slopes are least squares over the samples after the first fifth."""

    n_crops: int
    n_done: int
    n_failed: int
    n_twice: int
    n_decisions: int
    crops_per_s: float
    server_mb_per_1000: float
    worker_mb_per_1000: float
    samples: tuple[Sample, ...]

    @property
    def is_flat(self) -> bool:
        """Whether neither server nor worker would grow by 100 MB within 50,000 crops."""
        return max(self.server_mb_per_1000, self.worker_mb_per_1000) < 2.0


def endure(config: ServiceConfig, *, n_crops: int, every: int, notes: Path) -> Endurance:
    """``n_crops`` crops handed in and read; after ``every`` of them somebody looks and decides.

    Samples stand in ``notes``, a line each. Started again with the same data folder it goes on: what was
    handed in before is known by its content, and samples of another process do not count.
    """
    config.data.mkdir(parents=True, exist_ok=True)
    with served(config) as server, httpx2.Client(base_url=_home(config), timeout=120.0) as http:
        begun, samples, sent = time.monotonic(), list[Sample](), _n_known(http)
        first = _n_ended(http)
        while (ended := _n_ended(http)) < n_crops:
            while sent < n_crops and sent - ended < _AHEAD:
                sent += _hand_in(http, range(sent, min(n_crops, sent + _AT_ONCE)))
            if ended >= first + every * (len(samples) + 1):
                samples.append(_sample(http, server.pid, n_done=ended, begun=begun, config=config))
                with notes.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(samples[-1])) + "\n")
            time.sleep(0.3)
        seconds = time.monotonic() - begun
        samples.append(_sample(http, server.pid, n_done=ended, begun=begun, config=config))
        return _endurance(http, samples, n_crops=n_crops, per_s=(ended - first) / seconds)


def _home(config: ServiceConfig) -> str:
    return f"http://127.0.0.1:{config.port}"


def jobs_by_state(http: httpx2.Client) -> dict[str, int]:
    """The number of jobs in each state, as the meters tell it."""
    lines = http.get("/metrics").raise_for_status().text.splitlines()
    found = [line.split('"') for line in lines if line.startswith("supcam_jobs{")]
    return {parts[1]: int(float(parts[2].split()[-1])) for parts in found}


def _n_known(http: httpx2.Client) -> int:
    return sum(jobs_by_state(http).values())


def _n_ended(http: httpx2.Client) -> int:
    states = jobs_by_state(http)
    return states.get("done", 0) + states.get("failed", 0)


def _hand_in(http: httpx2.Client, numbers: range) -> int:
    files = [("files", (f"{number}.png", crop_bytes(number))) for number in numbers]
    answer = http.post("/api/v1/clusters", files=files, data={"case": f"K-{numbers.start // 1000}"})
    answer.raise_for_status()
    return len(numbers)


def _sample(http: httpx2.Client, server: int, *, n_done: int, begun: float, config: ServiceConfig) -> Sample:
    look_ms, decide_ms = _review(http)
    rows = sum(path.stat().st_size for path in config.data.glob("supcam.sqlite*"))
    return Sample(
        n_done=n_done,
        seconds=round(time.monotonic() - begun, 1),
        use=use_of(server),
        look_ms=round(look_ms, 1),
        decide_ms=round(decide_ms, 1),
        stored_mb=round(rows / 1e6, 1),
        load=load_average()[0],
    )


def _review(http: httpx2.Client, *, n: int = 5) -> tuple[float, float]:
    """Medians in milliseconds of looking at doubtful objects, as the page does, and of deciding."""
    items = http.get(f"/api/v1/objects?limit={n}").raise_for_status().json()["items"]
    looks, decides = [], []
    for item in items:
        place = f"/api/v1/objects/{item['id']}"
        shown = (place, f"{place}/crop.png", f"{place}/seen", f"{place}/similar", "/api/v1/images?limit=50")
        looks += [_timed(http, "GET", asked) for asked in shown]
        decides.append(_timed(http, "POST", f"{place}/decisions", json={"type": "instance"}))
    return 1000 * median(looks or [0.0]), 1000 * median(decides or [0.0])


def _timed(http: httpx2.Client, method: str, place: str, **more: object) -> float:
    begun = time.perf_counter()
    http.request(method, place, **more).raise_for_status()  # type: ignore[arg-type]
    return time.perf_counter() - begun


def slope(samples: Sequence[Sample], *, of: str) -> float:
    """By how many MB a thousand crops ``server_mb`` or ``worker_mb`` grows, without the beginning."""
    kept = [each for each in samples[int(_WARM * len(samples)) :] if each.use.is_whole]
    if len({each.n_done for each in kept}) < 2:
        return 0.0
    n, mb = [each.n_done for each in kept], [float(getattr(each.use, of)) for each in kept]
    return round(1000 * float(np.polyfit(n, mb, 1)[0]), 3)


def _table(http: httpx2.Client, name: str) -> list[dict[str, str]]:
    text = http.get(f"/api/v1/export/{name}.csv").raise_for_status().text
    return list(csv.DictReader(io.StringIO(text)))


def _endurance(http: httpx2.Client, samples: Sequence[Sample], *, n_crops: int, per_s: float) -> Endurance:
    states = jobs_by_state(http)
    ids = [row["object_id"] for row in _table(http, "objects")]
    return Endurance(
        n_crops=n_crops,
        n_done=states.get("done", 0),
        n_failed=states.get("failed", 0),
        n_twice=len(ids) - len(set(ids)),
        n_decisions=len(_table(http, "decisions")),
        crops_per_s=round(per_s, 2),
        server_mb_per_1000=slope(samples, of="server_mb"),
        worker_mb_per_1000=slope(samples, of="worker_mb"),
        samples=tuple(samples),
    )
