"""What do a million metaphases take? ``supcam analyze`` with 1 and 2 workers, either engine.

    python -m benchmarks.scale_workers --price 0.05 --into docs/scale.md

Metaphases of the virtual laboratories are drawn as ``supcam synth`` draws them; each lies in the folder
several times. Every command runs on all of them and on the first quarter: the difference is what a picture
takes once the workers are there (``picture_s``), the rest is what starting takes (``start_s``). From that
and a price of a core for an hour, in whatever currency, follow core hours and money for a million. The
medians of the rounds are told, with the lowest and the highest. Run it on a machine that does nothing else:
the load is written down. ``--into`` writes what was found as a section of a document.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
from benchmarks.analyze_speed import machine

import supcam
from supcam.data.laboratory import N_LABORATORIES, virtual_laboratory
from supcam.workflows.synth import SynthPlan, draw

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "ray", "pyarrow")
ENGINES = ("processes", "ray")
WORKERS = (1, 2)
MILLION = 1_000_000


@dataclass(frozen=True)
class Pictures:
    """A folder of pictures, one of a quarter of them, and how many there are of each."""

    whole: Path
    quarter: Path
    n: int
    n_quarter: int


@dataclass(frozen=True)
class Timing:
    """Seconds of one command on all pictures and on a quarter of them."""

    whole_s: float
    quarter_s: float

    def picture_s(self, pictures: Pictures) -> float:
        """Seconds a picture, once the workers are there."""
        return (self.whole_s - self.quarter_s) / (pictures.n - pictures.n_quarter)

    def start_s(self, pictures: Pictures) -> float:
        """Seconds that hang on no picture."""
        return self.whole_s - pictures.n * self.picture_s(pictures)


@contextmanager
def drawn(n: int, *, distinct: int) -> Iterator[tuple[Pictures, Path]]:
    """``n`` metaphases, ``distinct`` of them drawn and the others links to those; and a folder to work in."""
    laboratories = [virtual_laboratory(number) for number in range(N_LABORATORIES)]
    with tempfile.TemporaryDirectory() as folder:
        pictures = Pictures(Path(folder, "whole"), quarter=Path(folder, "quarter"), n=n, n_quarter=n // 4)
        pictures.whole.mkdir()
        pictures.quarter.mkdir()
        for index in range(n):
            path = pictures.whole / f"{index:06d}.png"
            if index < distinct:
                laboratory = laboratories[index % N_LABORATORIES]
                cv2.imwrite(str(path), draw(SynthPlan(), laboratory=laboratory, index=index).pixels)
            else:
                os.link(pictures.whole / f"{index % distinct:06d}.png", path)
            if index < pictures.n_quarter:
                os.link(path, pictures.quarter / path.name)
        yield pictures, Path(folder)


def command_s(paths: Path, *, engine: str, workers: int, folder: Path) -> float:
    """Seconds from the command's start to its end, into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [sys.executable, "-m", "supcam", "analyze", str(paths), "--output", f"{output}/results"]
        command += ["--engine", engine, "--processes", str(workers)]
        start = time.perf_counter()
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stderr[-4000:]}")
        return time.perf_counter() - start


def timed(pictures: Pictures, *, rounds: int, folder: Path) -> dict[str, dict[int, list[Timing]]]:
    """The timings by engine and number of workers; in every round each of them has its turn."""
    seen: dict[str, dict[int, list[Timing]]] = {engine: {n: [] for n in WORKERS} for engine in ENGINES}
    for number in range(rounds):
        for engine in ENGINES:
            for workers in WORKERS:
                whole, quarter = (
                    command_s(paths, engine=engine, workers=workers, folder=folder)
                    for paths in (pictures.whole, pictures.quarter)
                )
                seen[engine][workers].append(Timing(whole, quarter_s=quarter))
                print(f"round {number + 1}: {engine}, {workers}: {whole:.1f} s, {quarter:.1f} s", flush=True)
    return seen


def spread(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    named = {"median": statistics.median(values), "low": min(values), "high": max(values)}
    return {name: round(value, 4) for name, value in named.items()}


def told(
    timings: list[Timing], *, pictures: Pictures, workers: int, price: float | None
) -> dict[str, object]:
    """What one engine with so many workers took, and what a million would."""
    picture = spread([timing.picture_s(pictures) for timing in timings])
    core_hours = picture["median"] * workers * MILLION / 3600
    result: dict[str, object] = {
        "picture_s": picture,
        "start_s": spread([timing.start_s(pictures) for timing in timings]),
        "command_s": spread([timing.whole_s for timing in timings]),
        "million": {"hours": round(core_hours / workers, 1), "core_hours": round(core_hours, 1)}
        | ({} if price is None else {"money": round(core_hours * price, 2)}),
    }
    return result


HEADING, NEXT = "## What a million metaphases take", "## On a cluster"


COLUMNS = ("engine", "workers", "metaphases a second", "seconds a metaphase", "start, s")
COST = ("a million, hours", "core hours", "money")


def section(result: dict[str, Any]) -> str:
    """The result as a section of a document."""
    about, price = result["machine"], result["price_per_core_hour"]
    columns = COLUMNS + (COST[:2] if price is None else COST)
    rows = [
        _cells(engine, name, told_of)
        for engine, by_workers in result["engines"].items()
        for name, told_of in by_workers.items()
    ]
    table = [f"| {' | '.join(row)} |" for row in (columns, *rows)]
    table.insert(1, "|---" * len(columns) + "|")
    load = about["load_before"][0]
    words = [
        f"Metaphases of the {result['pictures']['laboratories']} virtual laboratories on",
        f"{about['processor']}, {about['cores']} cores, load before {load:g}; medians of {result['rounds']}",
        "rounds, lowest and highest in brackets. Hours are those of as many workers: more of them divide",
        f"the hours. From `{result['command']}`:",
    ]
    return "\n".join([HEADING, "", *words, "", *table, "", ""])


def _cells(engine: str, name: str, told_of: dict[str, Any]) -> tuple[str, ...]:
    each, million = told_of["picture_s"], told_of["million"]
    cells = [engine, name.removeprefix("workers_"), f"{1 / each['median']:.2f}"]
    cells.append(f"{each['median']:.3f} ({each['low']:.3f}-{each['high']:.3f})")
    cells.append(f"{told_of['start_s']['median']:.1f}")
    return (*cells, *(f"{million[key]:.0f}" for key in ("hours", "core_hours", "money") if key in million))


def put_into(document: Path, *, text: str) -> None:
    """``document`` with ``text`` in place of its section, or before ``NEXT`` when it has none yet."""
    old = document.read_text(encoding="utf-8")
    end = old.index(NEXT)
    start = old.find(HEADING)
    document.write_text(old[: end if start < 0 else start] + text + old[end:], encoding="utf-8")


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/scale_workers.json"))
    parser.add_argument("--pictures", type=int, default=160)
    parser.add_argument("--distinct", type=int, default=40, help="how many of them are drawn")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--price", type=float, help="of a core for an hour; without it hours alone are told")
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    parser.add_argument("--into", type=Path, help="document that gets the result as a section")
    options = parser.parse_args()
    with drawn(options.pictures, distinct=options.distinct) as (pictures, folder):
        about = machine()
        seen = timed(pictures, rounds=options.rounds, folder=folder)
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.scale_workers", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "pictures": {"n": pictures.n, "drawn": options.distinct, "laboratories": N_LABORATORIES},
        "rounds": options.rounds,
        "price_per_core_hour": options.price,
        "engines": {
            engine: {
                f"workers_{n}": told(timings, pictures=pictures, workers=n, price=options.price)
                for n, timings in by_workers.items()
            }
            for engine, by_workers in seen.items()
        },
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
    if options.into:
        put_into(options.into, text=section(result))


if __name__ == "__main__":
    main()
