"""Do contact points light up? Explanations of composed clusters, whose contact points are known.

    SUPCAM_DATA=... python benchmarks/explanation.py --checkpoint runs/typed_model/checkpoints/last.ckpt

Clusters are composed from single chromosomes of the second laboratory's select role, which no model learnt
from, and read by the bundled model. Of those read as clusters, the contact zone is what lies within a share
of a chromosome's width of both bodies of a pair, crossings included. Two figures: how often the hottest place
of the object lies in the zone (the pointing game of Zhang et al., 2018), and the share of the heat above 0 on
the object that lies in it. Chance is the zone's share of the object: what a place, or heat, drawn evenly over
the object would give. Intervals: 95 %, bootstrapped over compositions.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from supcam.core.types import ClusterType
from supcam.data.composition import Composed, Composer
from supcam.data.piece import prepare
from supcam.learn.recipe import read_recipe
from supcam.learn.sources import PartsReader
from supcam.learn.stages import read_stages
from supcam.pack.bundle import Model, load_model
from supcam.spread.explanation import Explanation, explain

SEED = 7
REACH = 0.5
"""A contact zone reaches so many chromosome widths into the bodies that meet."""
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Case:
    """A composed cluster, its contact zone, and what is on the object at all."""

    made: Composed
    zone: np.ndarray
    body: np.ndarray


def contact_zone(made: Composed, *, width_px: float) -> np.ndarray:
    """What lies within ``REACH`` widths of both bodies of some pair."""
    reach = round(REACH * width_px)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = [cv2.dilate(mask.astype(np.uint8), kernel) > 0 for mask in made.masks]
    zone = np.zeros(made.stain.shape, bool)
    for a, b in combinations(grown, 2):
        zone |= a & b
    return zone


def compositions(n: int, *, experiments: Path) -> list[Case]:
    """``n`` clusters, a third of each type, two to four chromosomes."""
    recipe = read_recipe(experiments / "default" / "typed_model.toml")
    stages = read_stages(recipe)
    harvest = PartsReader(folder=experiments).harvest(recipe, parts=["tseng24:select"])
    pieces = [piece for one in harvest.singles if (piece := prepare(one, config=recipe.foreground))]
    settings = stages.composition.model_copy(update={"source_shares": {}})
    composer = Composer(pieces, config=settings, crop=recipe.crop)
    kinds = (ClusterType.TOUCHING, ClusterType.OVERLAPPING, ClusterType.TOUCHING_OVERLAPPING)
    cases = []
    for place in range(n):
        made = composer.draw(np.random.default_rng([SEED, place]), kind=kinds[place % 3])
        zone = contact_zone(made, width_px=recipe.crop.width_px)
        cases.append(Case(made, zone, np.asarray(made.picture > 0.15)))
    return cases


def scores(cases: Sequence[Case], heats: Sequence[np.ndarray]) -> dict[str, Any]:
    """Both figures beside chance, with intervals, over all and by type."""
    rows = np.array([_row(case, heat=heat) for case, heat in zip(cases, heats, strict=True)])
    kinds = np.array([int(case.made.type) for case in cases])
    by_type = {kind.label: _means(rows[kinds == kind]) for kind in ClusterType if (kinds == kind).any()}
    return {"n": len(cases), **_means(rows), "by_type": by_type}


def _row(case: Case, *, heat: np.ndarray) -> tuple[float, float, float]:
    """Whether the peak is in the zone, the share of the heat that is, and the share of the object."""
    shown = np.where(case.body, heat, -np.inf)
    hit = float(case.zone.ravel()[shown.argmax()])
    warm = np.where(case.body, np.maximum(heat, 0), 0)
    chance = float((case.zone & case.body).sum() / case.body.sum())
    energy = float(warm[case.zone].sum() / warm.sum()) if warm.sum() > 0 else chance
    return hit, energy, chance


def _means(rows: np.ndarray) -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    drawn = rows[rng.integers(len(rows), size=(RESAMPLES, len(rows)))].mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0).round(4)
    means = rows.mean(0).round(4)
    return {
        "pointing": [means[0], low[0], high[0]],
        "energy": [means[1], low[1], high[1]],
        "chance": means[2],
    }


def occlusion(explained: Explanation, *, model: Model, step_px: int = 7, sigma_px: float = 5.0) -> np.ndarray:
    """How much the margin of what was read falls when a soft spot is wiped out, spot by spot."""
    square, size = explained.square, len(explained.square)
    places = np.arange(0, size + 1, step_px)
    line = np.exp(-((np.arange(size)[None] - places[:, None]) ** 2) / (2 * sigma_px**2))
    wiped = [square * (1 - row[:, None] * column[None]) for row in line for column in line]
    logits = model.logits(np.stack([square, *wiped]).astype(np.float32)[:, None]).type_logits
    best = int(np.argmax(explained.prediction.probabilities))
    margin = logits[:, best] - logits[:, 0]
    fall = (margin[0] - margin[1:]).reshape(len(places), len(places)).astype(np.float32)
    grid = (np.arange(size) / step_px).astype(np.float32)
    return cv2.remap(fall, *np.meshgrid(grid, grid), cv2.INTER_LINEAR)


def main() -> None:
    """Measures every way to explain, and writes the results."""
    options = _options()
    cv2.setNumThreads(1)
    model = load_model(threads=1)
    cases = compositions(options.n, experiments=options.experiments)
    first = explain([case.made.picture for case in cases], model=model, shifts=1)
    right = [one.prediction.n_chromosomes > 1 for one in first]
    cases = [case for case, known in zip(cases, right, strict=True) if known]
    first = [one for one, known in zip(first, right, strict=True) if known]
    ways: dict[str, Callable[[], Sequence[np.ndarray]]] = {
        "type_map as it is": lambda: [one.heat for one in first],
        "type_map, 2 x 2 looks": lambda: _heats(first, model=model, shifts=2),
        "type_map, 4 x 4 looks": lambda: _heats(first, model=model, shifts=4),
        "type_map, 8 x 8 looks": lambda: _heats(first, model=model, shifts=8),
        "occlusion": lambda: [occlusion(one, model=model) for one in first],
    }
    if options.checkpoint:
        for layer in ("layer2", "layer3", "layer4"):
            ways[f"Grad-CAM, {layer}"] = partial(_cams, first, options.checkpoint, layer=layer)
    results = {}
    for name, way in ways.items():
        results[name] = scores(cases, way())
        print(name, {key: value for key, value in results[name].items() if key != "by_type"}, flush=True)
    command = shlex.join(["python", *sys.argv])
    values = {"command": command, "seed": SEED, "composed": options.n, "read_as_cluster": len(cases)}
    options.output.write_text(json.dumps({**values, "ways": results}, indent=1) + "\n", encoding="utf-8")


def _heats(explained: Sequence[Explanation], *, model: Model, shifts: int) -> list[np.ndarray]:
    return [one.heat for one in explain([e.square for e in explained], model=model, shifts=shifts)]


def _cams(explained: Sequence[Explanation], checkpoint: Path, *, layer: str) -> list[np.ndarray]:
    from supcam.learn.attribution import grad_cam

    pictures = np.stack([one.square for one in explained])[:, None]
    types = [ClusterType(int(np.argmax(one.prediction.probabilities))) for one in explained]
    return [*grad_cam(checkpoint, pictures=pictures, types=types, layer=layer)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, help="of the bundled model, for Grad-CAM")
    parser.add_argument("--n", type=int, default=60)
    parser.add_argument("--experiments", type=Path, default=Path("experiments"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/explanation.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
