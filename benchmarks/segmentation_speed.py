"""Metaphases a second: all that ``supcam.analyze`` does, beside the network alone of Cellpose 3.

    pip install . "cellpose<4"     (in an environment of its own: it needs another NumPy than training does)
    SUPCAM_DATA=... python -m benchmarks.segmentation_speed

Ours is from the file to typed and counted objects. Theirs is ``CellposeModel.eval`` without masks on a
picture in memory: its normalisation, resizing, tiles, the network that its generalist models have, and flows
in the picture's size. Its trained weights were not at hand, so they are drawn by chance. They cost the same,
but the dynamics that turn flows into masks take as long as the flows say and are left out. Theirs is
therefore a lower bound of its time, and says nothing of how well it would segment. It runs with its default
diameter of 30 pixels, for which no picture is resized, and with that of each picture's single chromosomes.

Both on one thread, rounds in turn, in processor time, which other programs disturb less than the clock's;
ratios are of rounds. Metaphases are of the selection role from the folder that SUPCAM_DATA names; without
it they are drawn.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from math import pi, sqrt
from pathlib import Path

import cv2
import numpy as np
import torch
from benchmarks.analyze_speed import gather, machine
from cellpose.models import CellposeModel

import supcam
from supcam.core.config import ImageConfig
from supcam.core.image import read_grey

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "torch", "cellpose")
DEFAULT_DIAMETER = 30.0
OURS = "supcam_analyze"
Side = Callable[[], None]
"""Everything that one side does with all pictures, once."""


def ours(paths: Sequence[Path]) -> Side:
    """Files to typed and counted objects."""
    model = supcam.load_model(threads=1)

    def run() -> None:
        for path in paths:
            supcam.analyze(path, model=model)

    return run


def theirs(pictures: Sequence[np.ndarray], *, diameters: Sequence[float]) -> Side:
    """Pictures to flows, by a network whose weights are drawn."""
    torch.manual_seed(0)
    model = CellposeModel(gpu=False, pretrained_model=False)

    def run() -> None:
        for picture, diameter in zip(pictures, diameters, strict=True):
            model.eval(picture, channels=[0, 0], diameter=diameter, compute_masks=False)

    return run


def diameter_of(path: Path) -> float:
    """The median diameter of the picture's single chromosomes as Cellpose has it: of a disc of that area."""
    kept = supcam.analyze(path).kept
    areas = [one.area_px for one in kept if one.n_chromosomes == 1]
    return 2 * sqrt(statistics.median(areas) / pi) if areas else DEFAULT_DIAMETER


def seconds(sides: dict[str, Side], *, rounds: int) -> dict[str, list[float]]:
    """Processor seconds of each side, round by round in turn, after a round to warm up."""
    seen: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        for name, run in sides.items():
            start = time.process_time()
            run()
            if number:
                seen[name].append(time.process_time() - start)
    return seen


def spread(values: Sequence[float], *, digits: int = 3) -> dict[str, float]:
    """Median, lowest and highest."""
    return {
        "median": round(statistics.median(values), digits),
        "low": round(min(values), digits),
        "high": round(max(values), digits),
    }


def measured(paths: Sequence[Path], *, rounds: int) -> dict[str, object]:
    """Metaphases a processor second of each side, and how many times as many ours are."""
    pictures = [read_grey(path, config=ImageConfig()).pixels.astype(np.float32) for path in paths]
    own = [diameter_of(path) for path in paths]
    sides = {
        OURS: ours(paths),
        "cellpose_network_default_diameter": theirs(pictures, diameters=[DEFAULT_DIAMETER] * len(paths)),
        "cellpose_network_own_diameter": theirs(pictures, diameters=own),
    }
    taken = seconds(sides, rounds=rounds)
    return {
        "pictures_px": [list(picture.shape) for picture in pictures],
        "diameters_px": [round(diameter, 1) for diameter in own],
        "metaphases_per_second": {
            name: spread([len(paths) / value for value in values]) for name, values in taken.items()
        },
        "times_as_many_as": {
            name: spread([their / our for our, their in zip(taken[OURS], values, strict=True)], digits=1)
            for name, values in taken.items()
            if name != OURS
        },
    }


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/segmentation_speed.json"))
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about = machine()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths, source = gather(options.pictures, Path(folder))
        found = measured(paths, rounds=options.rounds)
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.segmentation_speed", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "pictures": {"n": len(paths), "source": source},
        "theirs": "network alone, weights drawn by chance, without the dynamics of masks",
        **found,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
