"""Mutants read as a worker reads pictures, in a process that may die: each is a picture or is refused."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.measured import resident_bytes
from tests.soak.mutants import mutant

from supcam.core import large
from supcam.core.config import ImageConfig
from supcam.core.types import SupcamError
from supcam.spread.picture import open_picture, preview
from supcam.web.config import Limits
from supcam.web.uploads import check_pages

BATCH = 2000
_MOST_BYTES = 3_000_000_000
_MOST_CPU_S = 10.0
_CONFIG = ImageConfig(max_megapixels=4.0)


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """What became of mutants. ``unexpected``: neither a picture nor one of our errors, by number and name."""

    first: int
    n_mutants: int
    n_pictures: int
    n_refused: int
    died: tuple[str, ...]
    unexpected: tuple[str, ...]
    slowest_s: float
    peak_mb: float

    @property
    def is_clean(self) -> bool:
        """Whether no process died and every refusal was one of ours."""
        return not self.died and not self.unexpected and self.n_pictures + self.n_refused == self.n_mutants


def fuzz(folder: Path, *, first: int, n: int) -> Fuzzed:
    """Mutants ``first`` to ``first + n - 1``; one at which a process dies is noted and kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    told, died, unexpected = Counter[str](), list[str](), list[str]()
    slowest_s = peak_mb = 0.0
    at = first
    while at < first + n:
        until = min(first + n, at + BATCH)
        command = [sys.executable, "-m", "tests.soak.fuzz", str(folder), str(at), str(until)]
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
        )
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        for row in rows:
            told[row["told"]] += 1
            slowest_s, peak_mb = max(slowest_s, row["cpu_s"]), max(peak_mb, row["peak_mb"])
            if row["told"] == "unexpected":
                unexpected.append(f"{row['number']} {row['name']}: {row['error']}")
        at += len(rows)
        if at < until:
            name, content = mutant(at)
            died.append(f"{at} {name}: exit {done.returncode}")
            (folder / f"mutant-{at}").write_bytes(content)
            at += 1
    return Fuzzed(
        first=first,
        n_mutants=n,
        n_pictures=told["picture"],
        n_refused=told["refused"],
        died=tuple(died),
        unexpected=tuple(unexpected),
        slowest_s=round(slowest_s, 3),
        peak_mb=round(peak_mb, 1),
    )


def read(path: Path) -> None:
    """Nothing for a picture, which was read in all ways that a worker has. Raises ``SupcamError``."""
    check_pages(path, limits=Limits())
    with open_picture(path, config=_CONFIG) as picture:
        preview(picture)


def _judge(path: Path, *, number: int) -> dict[str, object]:
    begun, told, error, name = time.process_time(), "picture", "", ""
    large.LARGE_PIXELS = 1000 if number % 2 else 10**9  # large TIFF files are read by other ways
    name, content = mutant(number)
    path.write_bytes(content)
    signal.setitimer(signal.ITIMER_PROF, _MOST_CPU_S)  # beyond it the process dies
    try:
        read(path)
    except SupcamError:
        told = "refused"
    except MemoryError:
        told = "refused"
    except Exception as other:  # what we look for
        told, error = "unexpected", f"{type(other).__name__}: {other}"
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {
        "number": number,
        "name": name,
        "told": told,
        "error": error,
        "cpu_s": time.process_time() - begun,
    }


def main(folder: Path, *, first: int, until: int) -> None:
    """A line for each mutant, until this process dies."""
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(first, until):
        row = _judge(folder / "mutant.png", number=number)
        peak_mb = resident_bytes(_own(), peak=True) / 1e6
        print(json.dumps(row | {"peak_mb": peak_mb}), flush=True)


def _own() -> int:
    return int(Path("/proc/self").resolve().name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), first=int(sys.argv[2]), until=int(sys.argv[3]))
