"""How many samples a second one core composes at the network's size, as a training run draws them.

    python -m benchmarks.compose_speed --output benchmarks/results/compose_speed.json

Composes of drawn single chromosomes, so that anyone can run it; with SUPCAM_DATA set also of real ones. The
mix of types, group sizes and contacts is the default one; a sample ends as the network's input, before any
view of it. Times are those of the process (CPU), with one thread, so that a busy machine matters little;
the median of several rounds is reported with the slowest and the fastest. Beside it, in the same rounds,
plain copy-paste of two or three chromosomes without any check (``benchmarks/copy_paste.py``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from benchmarks.copy_paste import Paster, at_network_scale, opencv_paster, pillow_paster

from supcam.core.config import CompositionConfig, CropConfig, ForegroundConfig, ImageConfig
from supcam.core.types import ClusterType, Region
from supcam.data.composition import Composer
from supcam.data.drawn_singles import DrawnSingles, draw_singles
from supcam.data.harvest import harvest_metaphases
from supcam.data.piece import prepare
from supcam.data.sources import read_tseng_metaphases
from supcam.data.split import read_roles

GOAL_PER_SECOND = 400
ROLES = Path(__file__).resolve().parents[1] / "experiments" / "roles.csv"


def real_singles(data: Path, *, n_metaphases: int) -> tuple[Region, ...]:
    """Single chromosomes of training metaphases, spread over the cases."""
    pictures = read_roles(ROLES).pick(read_tseng_metaphases(data).pictures, roles=["train"])
    chosen = pictures[:: max(1, len(pictures) // n_metaphases)][:n_metaphases]
    return harvest_metaphases(chosen, image=ImageConfig(), foreground=ForegroundConfig()).singles


def composer_of(regions: Sequence[Region]) -> Composer:
    """The default composer of these chromosomes."""
    prepared = (prepare(region, config=ForegroundConfig()) for region in regions)
    pieces = [piece for piece in prepared if piece is not None]
    return Composer(pieces, config=CompositionConfig(), crop=CropConfig())


def milliseconds(composer: Composer, *, seed: int, n: int, kind: ClusterType | None = None) -> float:
    """CPU time of one sample, the mean of ``n``."""
    start = time.process_time()
    for index in range(n):
        _ = composer.draw(np.random.default_rng([seed, index]), kind=kind).picture
    return 1000 * (time.process_time() - start) / n


def pasting_milliseconds(paste: Paster, *, seed: int, n: int) -> float:
    """CPU time of one pasted picture, the mean of ``n``."""
    start = time.process_time()
    for index in range(n):
        paste(np.random.default_rng([seed, index]))
    return 1000 * (time.process_time() - start) / n


def pasters(regions: Sequence[Region]) -> dict[str, Paster]:
    """Copy-paste of the same chromosomes at the same scale, by the library that does it."""
    crop = CropConfig()
    pieces = at_network_scale(regions, width_px=crop.width_px)
    return {
        "opencv": opencv_paster(pieces, size_px=crop.size_px),
        "pillow": pillow_paster(pieces, size_px=crop.size_px),
    }


def measure(regions: Sequence[Region], *, rounds: int, n: int) -> dict[str, object]:
    """Samples a second of the default mix over ``rounds`` of ``n``, and the time that each type takes."""
    composer, rivals = composer_of(regions), pasters(regions)
    milliseconds(composer, seed=1000, n=50)  # the first samples load and plan what later ones find ready
    times: list[float] = []
    pasted: dict[str, list[float]] = {name: [] for name in rivals}
    for seed in range(rounds):
        times.append(milliseconds(composer, seed=seed, n=n))
        for name, paste in rivals.items():
            pasted[name].append(pasting_milliseconds(paste, seed=seed, n=n))
    rates = sorted(1000 / each for each in times)
    types = Counter(composer.draw(np.random.default_rng([0, index])).type.label for index in range(n))
    return {
        "per_second": round(float(np.median(rates)), 1),
        "slowest_round": round(rates[0], 1),
        "fastest_round": round(rates[-1], 1),
        "rounds": rounds,
        "samples_a_round": n,
        "singles": sum(len(group) for group in composer.groups.members),
        "types": dict(types),
        "copy_paste_per_second": {
            name: round(1000 / float(np.median(each)), 1) for name, each in pasted.items()
        },
        "times_as_long_as_copy_paste": {
            name: [round(f(np.array(times) / np.array(each)), 2) for f in (np.median, np.min, np.max)]
            for name, each in pasted.items()
        },
        "ms_by_type": {
            kind.label: round(milliseconds(composer, seed=7, n=n // 4, kind=kind), 3) for kind in ClusterType
        },
    }


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--samples", type=int, default=600, help="samples a round")
    parser.add_argument("--metaphases", type=int, default=24, help="real metaphases to take chromosomes from")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    result: dict[str, object] = {
        "goal_per_second": GOAL_PER_SECOND,
        "size_px": CropConfig().size_px,
        "processor": processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    sets = {"drawn": draw_singles(DrawnSingles(), seed=0)}
    data = os.environ.get("SUPCAM_DATA")
    if data:
        sets["real"] = real_singles(Path(data), n_metaphases=options.metaphases)
    for name, regions in sets.items():
        result[name] = measure(regions, rounds=options.rounds, n=options.samples)
        print(name, json.dumps(result[name]), flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
