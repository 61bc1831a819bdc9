"""What grows with what? Time and memory against pictures, picture size, workers and length of the queue.

    python -m benchmarks.growth

``supcam analyze`` reads ever more drawn metaphases, ever larger slides, and the same metaphases with ever
more processes, each in a process of its own whose largest resident size is told; the self-margin loss takes
one step against ever longer queues, forwards and backwards, without a network. Results go to
``benchmarks/results/growth.json``, four plots to ``docs/images/growth.png``. Run it on a machine that does
nothing else: the load is written down.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import torch
from benchmarks.analyze_memory import STARTER, field, write_tiled
from benchmarks.analyze_speed import machine
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

import supcam
from supcam.core.types import Polarity
from supcam.learn.config import ContrastConfig
from supcam.learn.key_queue import KeyQueue
from supcam.learn.losses import contrastive_loss

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "tifffile", "torch")
BATCH, DIM = 64, 128


@dataclass(frozen=True)
class Point:
    """One measurement: how much of what grows, its seconds, its largest memory."""

    amount: int
    seconds: float
    peak_mb: float


def analyzed(pictures: Sequence[Path], *, amount: int, processes: int, folder: Path) -> Point:
    """``supcam analyze`` on the pictures, into a new folder."""
    with tempfile.TemporaryDirectory(dir=folder) as output:
        command = [sys.executable, "-m", "supcam", "analyze", *map(str, pictures)]
        command += ["--output", str(Path(output) / "out"), "--processes", str(processes)]
        command += ["--max-megapixels", "4000"]
        usage = Path(output) / "usage"
        start = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", STARTER, str(usage), *command], check=True)
        seconds = time.perf_counter() - start
        status, peak_kib = map(int, usage.read_text(encoding="utf-8").split())
    if status:
        raise SystemExit(f"{shlex.join(command[:8])} ended with {status}")
    return Point(amount, seconds=round(seconds, 2), peak_mb=round(peak_kib * 1024 / 1e6, 1))


def by_pictures(amounts: Iterable[int], *, folder: Path) -> list[Point]:
    """More metaphases in one process."""
    amounts = list(amounts)
    paths = []
    for number in range(max(amounts)):
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), field(number, polarity=Polarity.BRIGHT_FIELD))
    return [analyzed(paths[:n], amount=n, processes=1, folder=folder) for n in amounts]


def by_side(sides: Iterable[int], *, folder: Path) -> list[Point]:
    """Larger slides, tiled TIFFs, in one process."""
    points = []
    for side in sides:
        path = folder / f"slide_{side}.tif"
        write_tiled(path, side=side, polarity=Polarity.BRIGHT_FIELD)
        points.append(analyzed([path], amount=side, processes=1, folder=folder))
        path.unlink()
    return points


def by_workers(amounts: Iterable[int], *, pictures: int, folder: Path) -> list[Point]:
    """The same metaphases with more processes; memory is the command's own, without its workers'."""
    paths = sorted(folder.glob("*.png"))[:pictures]
    return [analyzed(paths, amount=n, processes=n, folder=folder) for n in amounts]


def by_queue(lengths: Iterable[int], *, rounds: int) -> list[Point]:
    """The loss of one batch against a full queue, forwards and backwards; memory is the queue's."""
    return [_queue_point(slots, rounds=rounds) for slots in lengths]


def _queue_point(slots: int, *, rounds: int) -> Point:
    generator = torch.Generator().manual_seed(slots)
    config = ContrastConfig(queue_slots=slots)

    def units(n: int) -> torch.Tensor:
        return torch.nn.functional.normalize(torch.randn(n, DIM, generator=generator), dim=1)

    queue = KeyQueue(slots=slots, dim=DIM)
    queue.enqueue(units(slots), types=torch.randint(4, (slots,), generator=generator))
    queries, own, types = units(BATCH).requires_grad_(), units(BATCH), torch.arange(BATCH) % 4
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        terms = contrastive_loss(queries, own, types=types, references=queue.references(), config=config)
        terms.total.backward()
        seconds.append(time.perf_counter() - start)
    held = sum(buffer.numel() * buffer.element_size() for buffer in queue.buffers())
    return Point(slots, seconds=round(statistics.median(seconds), 5), peak_mb=round(held / 1e6, 2))


def plotted(result: dict[str, list[Point]], *, path: Path) -> None:
    """Time and memory against everything that grows, a plot each; what grows on a logarithmic axis."""
    titles = {
        "pictures": ("metaphases", "s"),
        "side": ("side of a slide, pixels", "s"),
        "workers": ("processes, the same metaphases", "s"),
        "queue": ("keys in the queue", "s a step of the loss"),
    }
    figure = Figure(figsize=(9, 6.4), layout="constrained")
    for axes, (name, (what, unit)) in zip(figure.subplots(2, 2).flat, titles.items(), strict=True):
        _plot(axes, points=result[name], what=what, unit=unit)
    figure.savefig(path, dpi=110)


def _plot(axes: Axes, *, points: list[Point], what: str, unit: str) -> None:
    amounts = [point.amount for point in points]
    axes.semilogx(amounts, [point.seconds for point in points], "o-", color="#1b5e8c", label=unit)
    axes.set_xlabel(what)
    axes.set_ylabel(unit, color="#1b5e8c")
    memory = axes.twinx()
    memory.semilogx(amounts, [point.peak_mb for point in points], "s--", color="#a4491b", label="MB")
    memory.set_ylim(bottom=0)
    memory.set_ylabel("MB", color="#a4491b")
    axes.set_ylim(bottom=0)
    for each in (axes, memory):
        each.xaxis.set_minor_locator(NullLocator())
        each.set_xticks(amounts, [f"{amount:,}" for amount in amounts])
    axes.grid(alpha=0.3)


def main() -> None:
    """The measurements in a file, their plots in another, and a line for each on standard output."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/growth.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/growth.png"))
    parser.add_argument("--pictures", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 2000, 4000, 8000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--queues", type=int, nargs="+", default=[256, 1024, 4096, 16_384, 65_536])
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about = machine()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "pictures": by_pictures(options.pictures, folder=folder),
            "workers": by_workers(options.workers, pictures=max(options.pictures), folder=folder),
            "side": by_side(options.sides, folder=folder),
            "queue": by_queue(options.queues, rounds=15),
        }
    for name, points in result.items():
        print(name, *points, sep="\n  ")
    told = {
        "command": shlex.join(["python", "-m", "benchmarks.growth", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {package: version(package) for package in PACKAGES},
        "of": {name: [asdict(point) for point in points] for name, points in result.items()},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    plotted(result, path=options.plot)


if __name__ == "__main__":
    main()
