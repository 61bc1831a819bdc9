"""How much memory does a picture take? ``supcam analyze`` on one picture after the other, in a process each.

    python -m benchmarks.analyze_memory

Drawn metaphases lie side by side on slides of ``--side`` pixels (20,000): TIFFs in tiles and in strips,
bright field and fluorescence, and one below the size from which it is read area by area, which may take 1 GB
each; and on smaller PNG, JPEG and BMP files, which may take 300 MB and four times their decoded bytes.
Told is the largest resident size of the command, as the system counts it. It hangs little on what else a
machine does; the seconds do.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import tifffile
from benchmarks.analyze_speed import machine

import supcam
from supcam.core.types import Polarity
from supcam.data.synthesis import SynthesisConfig, draw_metaphase

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "tifffile", "pillow")
LARGE_LIMIT = 1_000_000_000
SMALL_LIMIT, A_DECODED_BYTE = 300_000_000, 4
_WHOLE_PX = 4800
"""Side of a TIFF below the size from which it is read area by area."""
_FIELD_PX = 1000
"""Side of the field in which one metaphase lies."""
STARTER = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as file:
    print(os.waitstatus_to_exitcode(status), usage.ru_maxrss, file=file)
"""
"""A process inherits its starter's largest size: this one is small."""


@dataclass(frozen=True)
class Kind:
    """A picture to be measured: how it is written, and what ``supcam analyze`` may take for it."""

    name: str
    write: Callable[[Path], None]
    limit_bytes: int
    decoded_bytes: int


def field(number: int, *, polarity: Polarity) -> np.ndarray:
    """A drawn metaphase in the middle of a field of ``_FIELD_PX`` pixels a side."""
    config = SynthesisConfig(picture_px=(_FIELD_PX, _FIELD_PX), polarity=polarity)
    return draw_metaphase(np.random.default_rng(number), config=config).grey


def slide_rows(side: int, *, polarity: Polarity, rows: int) -> Iterator[np.ndarray]:
    """A slide of ``side`` pixels, ``rows`` at a time: four drawn fields, again and again."""
    fields = [field(number, polarity=polarity) for number in range(4)]
    pair = [np.concatenate([fields[k], fields[k + 1]], axis=1) for k in (0, 2)]
    block = np.concatenate(pair)
    wide = np.tile(block, (1, -(-side // block.shape[1])))[:, :side]
    for top in range(0, side, rows):
        yield wide[np.arange(top, min(side, top + rows)) % len(wide)]


def write_tiled(path: Path, *, side: int, polarity: Polarity, tile: int = 512) -> None:
    """A slide in compressed tiles; those at the edges are filled up."""
    across = -(-side // tile)

    def tiles() -> Iterator[np.ndarray]:
        for band in slide_rows(side, polarity=polarity, rows=tile):
            padded = np.pad(band, ((0, tile - len(band)), (0, across * tile - side)), mode="edge")
            yield from (padded[:, k * tile : (k + 1) * tile] for k in range(across))

    tifffile.imwrite(
        path,
        tiles(),
        shape=(side, side),
        dtype=np.uint8,
        tile=(tile, tile),
        photometric="minisblack",
        compression="zlib",
    )


def write_strips(path: Path, *, side: int, polarity: Polarity, rows: int = 64) -> None:
    """A slide in compressed strips."""
    slide = np.concatenate(list(slide_rows(side, polarity=polarity, rows=rows)))
    tifffile.imwrite(
        path,
        slide,
        rowsperstrip=rows,
        photometric="minisblack",
        compression="zlib",
    )


def write_small(path: Path, *, side: int, colour: bool) -> None:
    """A square picture in the format of the file's ending."""
    grey = np.concatenate(list(slide_rows(side, polarity=Polarity.BRIGHT_FIELD, rows=1024)))
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR) if colour else grey
    if not cv2.imwrite(str(path), picture):
        raise SystemExit(f"{path} could not be written")


def kinds(side: int) -> list[Kind]:
    """Every picture that is measured."""
    dark, bright = Polarity.BRIGHT_FIELD, Polarity.FLUORESCENCE
    area = side * side
    large = [
        Kind("tiles.tif", partial(write_tiled, side=side, polarity=dark), LARGE_LIMIT, area),
        Kind("strips.tif", partial(write_strips, side=side, polarity=dark), LARGE_LIMIT, area),
        Kind("tiles_fluorescence.tif", partial(write_tiled, side=side, polarity=bright), LARGE_LIMIT, area),
        Kind("whole.tif", partial(write_small, side=_WHOLE_PX, colour=False), LARGE_LIMIT, _WHOLE_PX**2),
    ]
    small = [
        ("metaphase.png", 1000, False),
        ("camera.png", 2250, False),
        ("middle.png", _WHOLE_PX, False),
        ("large.png", 8000, False),
        ("colour.jpg", 5000, True),
        ("colour.bmp", 4000, True),
    ]
    return large + [
        Kind(
            name,
            partial(write_small, side=pixels, colour=colour),
            SMALL_LIMIT + A_DECODED_BYTE * (decoded := pixels * pixels * (3 if colour else 1)),
            decoded,
        )
        for name, pixels, colour in small
    ]


def measured(kind: Kind, *, folder: Path) -> dict[str, object]:
    """The largest resident size of ``supcam analyze`` on one picture, and its seconds."""
    path, usage = folder / kind.name, folder / "usage"
    kind.write(path)
    command = [sys.executable, "-m", "supcam", "analyze", str(path), "--output", str(folder / path.stem)]
    command += ["--processes", "1", "--max-megapixels", "4000"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-S", "-c", STARTER, str(usage), *command], check=True)
    seconds = time.perf_counter() - start
    status, peak_kib = map(int, usage.read_text(encoding="utf-8").split())
    if status:
        raise SystemExit(f"{shlex.join(command)} ended with {status}")
    path.unlink()
    peak = peak_kib * 1024
    return {
        "decoded_mb": round(kind.decoded_bytes / 1e6, 1),
        "limit_mb": round(kind.limit_bytes / 1e6),
        "peak_mb": round(peak / 1e6),
        "holds": peak <= kind.limit_bytes,
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """The result on standard output and in a file; exit status 1 when a limit is passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/analyze_memory.json"))
    parser.add_argument("--side", type=int, default=20_000)
    parser.add_argument("--only", nargs="*", help="names of the pictures to measure; all without it")
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about, seen = machine(), {}
    for kind in kinds(options.side):
        if options.only and kind.name not in options.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            seen[kind.name] = measured(kind, folder=Path(folder))
        print(kind.name, seen[kind.name], flush=True)
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.analyze_memory", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "side_px": options.side,
        "pictures": seen,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(os.EX_OK if all(entry["holds"] for entry in seen.values()) else 1)


if __name__ == "__main__":
    main()
