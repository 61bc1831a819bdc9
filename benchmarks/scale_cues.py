"""How much of the type do size and sharpness alone give away, under each rule of scale?

    SUPCAM_DATA=... python benchmarks/scale_cues.py --output benchmarks/results/scale_cues.json

Fitting every crop to one square enlarges single chromosomes more than clusters, so that blur tells the type.
A gradient-boosted classifier sees nothing but sharpness (mean gradient and Laplacian over the body), or
nothing but size (sides and area of the body), of the network's input; it is scored on unseen cases of the
first laboratory (grouped five-fold). Balanced accuracy: 0.25 is chance.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from supcam.core.config import CropConfig
from supcam.core.crop import network_input
from supcam.core.types import Region
from supcam.data.harvest import harvest_crops
from supcam.learn.recipe import read_recipe
from supcam.learn.sources import read_sources
from supcam.learn.stages import read_stages


def sharpness(picture: np.ndarray) -> list[float]:
    """Mean gradient, its strongest tenth, and mean Laplacian over the body."""
    body = picture > 0.3
    gradient = np.hypot(cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1))[body]
    laplacian = np.abs(cv2.Laplacian(picture, cv2.CV_32F))[body]
    return [float(gradient.mean()), float(np.quantile(gradient, 0.9)), float(laplacian.mean())]


def size(picture: np.ndarray) -> list[float]:
    """Long side, short side and area of the body, in input pixels."""
    _, _, width, height = cv2.boundingRect((picture > 0.3).astype(np.uint8))
    return [float(max(width, height)), float(min(width, height)), float((picture > 0.3).sum())]


def scores(regions: list[Region], *, crop: CropConfig) -> dict[str, dict[str, float]]:
    """Accuracy and balanced accuracy of each kind of cue, on unseen cases."""
    pictures = [network_input(region, config=crop) for region in regions]
    types = np.array([int(region.type or 0) for region in regions])
    cases = np.array([region.case for region in regions])
    found = {}
    for name, cues in {"sharpness": sharpness, "size": size}.items():
        table = np.array([cues(picture) for picture in pictures])
        model = HistGradientBoostingClassifier(max_depth=3, max_iter=60, random_state=0)
        read = cross_val_predict(model, table, types, groups=cases, cv=GroupKFold(5))
        found[name] = {
            "accuracy": float(accuracy_score(types, read)),
            "balanced_accuracy": float(balanced_accuracy_score(types, read)),
        }
    return found


def main() -> None:
    """Scores both rules and writes the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path("experiments/default/first_common.toml"))
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    recipe = read_recipe(options.config)
    samples = [
        s for s in read_sources(read_stages(recipe).data).samples if s.source == "cci" and s.type is not None
    ]
    harvest = harvest_crops(samples, image=recipe.image, foreground=recipe.foreground)
    regions = [*harvest.singles, *harvest.clusters]
    report: dict[str, object] = {
        "crops": len(regions),
        "majority_accuracy": len(harvest.singles) / len(regions),
    }
    for rule in ("width", "square_fit"):
        report[rule] = scores(regions, crop=recipe.crop.model_copy(update={"scale_rule": rule}))
        print(rule, report[rule])
    options.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
