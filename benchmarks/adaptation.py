"""Does ``supcam adapt`` help with a laboratory that the network never saw? One source left out.

    SUPCAM_DATA=... python benchmarks/adaptation.py --weights runs/base/checkpoints/last.ckpt

The network of ``experiments/default/base.toml`` learnt from the second laboratory alone. It is adapted to
the crops of the first without their labels, once to those of folds 1 to 3 and once to those of folds 4 and
5, and each time scored on the labels of the other folds: every crop is read by a network not adapted to its
case.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import cv2

from supcam.core.types import Region, Sample
from supcam.data.harvest import read_crop
from supcam.data.manifest import ManifestOptions, read_manifest
from supcam.data.split import read_roles
from supcam.learn.adaptation import AdaptConfig, adapt_network
from supcam.learn.checkpoints import load_network

HALVES = (("fold1", "fold2", "fold3"), ("fold4", "fold5"))


def main() -> None:
    """Adapts twice, scores, and writes the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=1920)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SUPCAM_DATA", "data")))
    parser.add_argument("--experiments", type=Path, default=Path("experiments"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/adaptation.json"))
    options = parser.parse_args()
    cv2.setNumThreads(1)
    config = AdaptConfig(pictures=options.pictures, learning_rate=options.learning_rate)
    found = read_manifest(options.data / "cci" / "labels.csv", options=ManifestOptions(source="cci"))
    roles = read_roles(options.experiments / "roles.csv")
    regions = [_regions(roles.pick(found.samples, roles=half), weights=options.weights) for half in HALVES]
    halves = []
    for place, half in enumerate(HALVES):
        unlabelled = [replace(one, type=None, n_chromosomes=None) for one in regions[place]]
        labelled = [one for one in regions[1 - place] if one.type is not None]
        with tempfile.TemporaryDirectory() as folder:
            done = adapt_network(
                options.weights,
                regions=unlabelled,
                labelled=labelled,
                config=config,
                folder=Path(folder) / "run",
            )
        values = {key: value for key, value in asdict(done).items() if key != "checkpoint"}
        halves.append({"adapted_to": half, **values, "told": done.told()})
        print(json.dumps(halves[-1], indent=1), flush=True)
    values = {"command": shlex.join(["python", *sys.argv]), "config": config.model_dump(), "halves": halves}
    options.output.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _regions(samples: Iterable[Sample], *, weights: Path) -> list[Region]:
    recipe = load_network(weights).recipe
    return [
        replace(
            read_crop(one.path, image=recipe.image, foreground=recipe.foreground),
            case=one.case,
            source=one.source,
            type=one.type,
            n_chromosomes=one.n_chromosomes,
        )
        for one in samples
    ]


if __name__ == "__main__":
    main()
