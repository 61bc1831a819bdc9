"""Crops a second, the network alone, decoded crops in memory: the bundled model beside networks in torch.

    python -m benchmarks.inference_speed

On one core and on two. Every side tries its batches, torch also bfloat16 with channels last, and is shown at
its best. Sides take turns, so that a busy moment meets all; ratios are of rounds. torch's networks have drawn
weights, whose values cost nothing, and see 224 pixels. Run it on a machine that does nothing else: the load
is written down. Linux only: elsewhere a process cannot be kept on a core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import timm
import torch
from benchmarks.classify_speed import PACKAGES, PEER_PX, PEERS, Crops, gather, machine, spread
from torch import nn

import supcam

GOALS = {"torch_resnext101": 200, "torch_resnet50": 50}
OUR_BATCHES, THEIR_BATCHES = (1, 8, 32), (1, 8)
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
Side = Callable[[], float]
"""Crops a second, measured anew by every call."""


def on_cores(n: int) -> None:
    """This process and all its threads stay on ``n`` cores from here on."""
    cores = set(sorted(os.sched_getaffinity(1))[:n])
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
    torch.set_num_threads(n)


def ours(crops: Crops, *, threads: int, batch: int, n_crops: int) -> Side:
    """The bundled model on prepared crops."""
    model = supcam.load_model(threads=threads)
    squares = np.stack([model.prepare(path) for path in crops.paths])[:, None]
    some = squares[np.resize(np.arange(len(squares)), n_crops)]
    model.logits(some[:batch])

    def run() -> float:
        start = time.perf_counter()
        for first in range(0, n_crops, batch):
            model.logits(some[first : first + batch])
        return n_crops / (time.perf_counter() - start)

    return run


def theirs(network: nn.Module, *, precision: str, batch: int, n_crops: int) -> Side:
    """A network of torch on pictures in memory; bfloat16 with channels last."""
    pictures = torch.rand(batch, 3, PEER_PX, PEER_PX)
    if precision == "bfloat16":
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def run() -> float:
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            for _ in range(0, n_crops, batch):
                network(pictures)
        return n_crops / (time.perf_counter() - start)

    return run


def sides(crops: Crops, *, cores: int, n_crops: int, n_theirs: int) -> dict[str, dict[str, Side]]:
    """Who is timed, and in which ways."""
    found: dict[str, dict[str, Side]] = {
        "supcam": {
            f"batch {batch}": ours(crops, threads=cores, batch=batch, n_crops=n_crops)
            for batch in OUR_BATCHES
        }
    }
    for name, timm_name in PEERS.items():
        network = timm.create_model(timm_name, num_classes=4).eval()
        found[name] = {
            f"{precision}, batch {batch}": theirs(network, precision=precision, batch=batch, n_crops=n_theirs)
            for precision in PRECISIONS
            for batch in THEIR_BATCHES
        }
    return found


def at_their_best(
    timed: dict[str, dict[str, Side]], *, rounds: int
) -> dict[str, tuple[str, list[float], dict[str, float]]]:
    """Each side's best way, its crops a second round by round, and the medians of all its ways."""
    seen: dict[str, dict[str, list[float]]] = {
        name: {way: [] for way in ways} for name, ways in timed.items()
    }
    for _ in range(rounds):
        for name, ways in timed.items():
            for way, run in ways.items():
                seen[name][way].append(run())
    told = {}
    for name, by_way in seen.items():
        medians = {way: round(statistics.median(values), 2) for way, values in by_way.items()}
        best = max(medians, key=lambda way: medians[way])
        told[name] = (best, by_way[best], medians)
    return told


def measured(crops: Crops, *, cores: int, options: argparse.Namespace) -> dict[str, object]:
    """Crops a second of all sides on so many cores, and how many times as many ours are."""
    on_cores(cores)
    timed = sides(crops, cores=cores, n_crops=options.crops, n_theirs=options.their_crops)
    told = at_their_best(timed, rounds=options.rounds)
    mine = told["supcam"][1]
    return {
        "crops_per_second": {
            name: {"best": best, **spread(rounds), "all": medians}
            for name, (best, rounds, medians) in told.items()
        },
        "times_as_many_as": {
            name: spread([our / their for our, their in zip(mine, told[name][1], strict=True)])
            for name in PEERS
        },
    }


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/inference_speed.json"))
    parser.add_argument("--crops", type=int, default=512, help="of ours in a round")
    parser.add_argument("--their-crops", type=int, default=16, help="of theirs in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        crops = gather(48, Path(folder))
        by_cores = {f"cores_{n}": measured(crops, cores=n, options=options) for n in (1, 2)}
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.inference_speed", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "goals_on_one_core": GOALS,
        **by_cores,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
