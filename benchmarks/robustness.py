"""Accuracy against the strength of blur, noise, contrast, JPEG, scale, rotation, polarity and cropping.

    SUPCAM_DATA=... python benchmarks/robustness.py --models "runs/v21t/uncalibrated_{fold}" \
        --calibration runs/v21t/calibration.json

Every crop of the first laboratory is read by the model that never saw its fold (the bundles that --models
names), as it is and in every distortion of ``supcam.data.distortion``. The rivals are fitted for each fold on
the crops of the other four, undistorted, and read the same inputs. A crop without an object that can be found
counts as wrong, for everybody. The results and a plot are written, the tables of a page printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from matplotlib.figure import Figure

from supcam.core.image import read_grey
from supcam.core.reading import JointReading
from supcam.core.types import Decision, ImageError, Sample
from supcam.data.crop_set import CropSet
from supcam.data.distortion import DISTORTIONS, Distortion
from supcam.data.manifest import ManifestOptions, read_manifest
from supcam.data.split import read_roles
from supcam.measure.figures import save_figure
from supcam.measure.rivals.classifier import ClassifierPlan, fit_classifier
from supcam.measure.rivals.geometric import geometric_features
from supcam.measure.rivals.rules import fit_rules
from supcam.pack.bundle import Model, load_model
from supcam.pack.folder import read_calibration

FOLDS = ("fold1", "fold2", "fold3", "fold4", "fold5")
MODEL, RULES, SHAPES = "SupCAM", "rules", "geometric features, logistic"
READERS = (MODEL, RULES, SHAPES)
UNREAD = -1
SEED = 0


@dataclass(frozen=True, eq=False)
class Answer:
    """What one reader says of crops: types (-1: no object found) and, for the model, what it accepts."""

    types: np.ndarray
    accepted: np.ndarray


class Reader:
    """All that read the crops of one fold: the model, and rivals fitted on the other folds."""

    def __init__(self, fold: str, *, crops: CropSet, folds: np.ndarray, options: argparse.Namespace) -> None:
        self.rows = np.flatnonzero(folds == fold)
        model = load_model(options.models.format(fold=fold), threads=1)
        self.model = replace(model, calibration=read_calibration(options.calibration))
        rest = np.flatnonzero(folds != fold)
        train = CropSet(crops.pictures[rest], types=crops.types[rest], counts=crops.counts[rest])
        self.rules = fit_rules(train, seed=SEED)
        plan = ClassifierPlan(kind="logistic", balanced=False, seed=SEED)
        features = geometric_features(train.pictures)
        self.shapes = fit_classifier(features, types=train.types, counts=train.counts, plan=plan)

    def answers(self, pictures: np.ndarray) -> Iterator[tuple[str, Answer]]:
        """Each reader with its answers to network inputs."""
        predictions = self.model.predict_squares(pictures)
        types = np.array([p.probabilities.index(max(p.probabilities)) for p in predictions], int)
        yield MODEL, Answer(types, np.array([p.decision is Decision.ACCEPT for p in predictions], bool))
        if len(pictures):
            none = np.zeros(len(pictures), bool)
            yield RULES, Answer(_types(self.rules.read(pictures)), none)
            yield SHAPES, Answer(_types(self.shapes.read(geometric_features(pictures))), none)


def _types(reading: JointReading) -> np.ndarray:
    return np.asarray(np.asarray(reading.type_probabilities).argmax(1))


def squares(
    samples: Sequence[Sample], *, model: Model, distortion: Distortion, strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """The network's inputs of the distorted crops, and which of the crops they are of."""
    seen, rows = [], []
    for row, sample in enumerate(samples):
        pixels = np.rint(read_grey(sample.path, config=model.image).pixels).astype(np.uint8)
        worse = distortion.change(pixels, strength, rng=np.random.default_rng([SEED, row]))
        try:
            seen.append(model.read_crop(worse).square)
        except ImageError:
            continue
        rows.append(row)
    size = model.card.crop.size_px
    return np.array(seen, np.float32).reshape(-1, size, size), np.array(rows, int)


def measured(
    readers: Sequence[Reader], *, samples: Sequence[Sample], distortion: Distortion, strength: float
) -> dict[str, Any]:
    """The pooled figures of every reader at one strength."""
    pictures, rows = squares(samples, model=readers[0].model, distortion=distortion, strength=strength)
    answers = {name: Answer(np.full(len(samples), UNREAD), np.zeros(len(samples), bool)) for name in READERS}
    for reader in readers:
        own = np.isin(rows, reader.rows)
        for name, found in reader.answers(pictures[own]):
            answers[name].types[rows[own]], answers[name].accepted[rows[own]] = found.types, found.accepted
    truth = np.array([int(sample.type or 0) for sample in samples])
    return {name: _figures(answer, truth=truth) for name, answer in answers.items()}


def _figures(answer: Answer, *, truth: np.ndarray) -> dict[str, float | int | None]:
    types, accepted = answer.types, answer.accepted
    right, cluster = types == truth, truth > 0
    n_accepted = int(accepted.sum())
    return {
        "accuracy": round(float(right.mean()), 4),
        "balanced": round(float(np.mean([right[truth == kind].mean() for kind in range(4)])), 4),
        "clusters": round(float(right[cluster].mean()), 4),
        "unread": int((types == UNREAD).sum()),
        "accepted": round(n_accepted / len(truth), 4),
        "accepted_error": round(float((~right[accepted]).mean()), 4) if n_accepted else None,
    }


def figure(results: dict[str, Any]) -> Figure:
    """Accuracy against strength, a panel for each distortion."""
    drawn = Figure(figsize=(13, 6.2), layout="constrained")
    axes = drawn.subplots(2, 4, sharey=True).ravel()
    for axis, (name, rows) in zip(axes, results.items(), strict=True):
        order = sorted(rows["points"], key=lambda point: point["strength"])
        for reader in order[0]["readers"]:
            values = [point["readers"][reader]["balanced"] for point in order]
            wide = 2.2 if reader == MODEL else 1.2
            axis.plot([p["strength"] for p in order], values, "o-", ms=3.5, lw=wide, label=reader)
        kept = [point["readers"][MODEL]["accepted"] for point in order]
        axis.plot([p["strength"] for p in order], kept, ":", color="0.45", label="share accepted by SupCAM")
        axis.axhline(0.25, color="0.8", lw=0.8)
        axis.set(title=name, xlabel=rows["unit"], ylim=(0, 1.02))
    for axis in axes[::4]:
        axis.set_ylabel("mean recall of the four types")
    axes[0].legend(fontsize=7, loc="lower left")
    return drawn


def page(results: dict[str, Any]) -> str:
    """A table for each distortion, in Markdown."""
    lines: list[str] = []
    for name, rows in results.items():
        readers = list(rows["points"][0]["readers"])
        lines += [f"### {name.capitalize()} ({rows['unit']})", ""]
        heads = [f"{reader}" for reader in readers]
        lines += [f"| strength | {' | '.join(heads)} | accepted | wrong among them |"]
        lines += ["|---" * (len(heads) + 3) + "|"]
        lines += [_line(point, readers=readers, first=n == 0) for n, point in enumerate(rows["points"])]
        lines.append("")
    return "\n".join(lines)


def _line(point: dict[str, Any], *, readers: Sequence[str], first: bool) -> str:
    cells = [
        f"{point['readers'][r]['accuracy']:.3f} / {point['readers'][r]['balanced']:.3f}" for r in readers
    ]
    own = point["readers"][MODEL]
    wrong = "–" if own["accepted_error"] is None else f"{own['accepted_error']:.3f}"
    strength = "as it is" if first else f"{point['strength']:g}"
    return f"| {strength} | {' | '.join(cells)} | {own['accepted']:.2f} | {wrong} |"


def main() -> None:
    """Measures, and writes results, plot and tables."""
    options = _options()
    cv2.setNumThreads(1)
    samples, folds = labelled(options)
    first = DISTORTIONS["blur"]
    model = load_model(options.models.format(fold=FOLDS[0]), threads=1)
    pictures, rows = squares(samples, model=model, distortion=first, strength=first.strengths[0])
    assert len(rows) == len(samples)
    crops = CropSet(
        pictures,
        types=np.array([int(sample.type or 0) for sample in samples], np.int64),
        counts=np.array([sample.n_chromosomes or UNREAD for sample in samples], np.int64),
    )
    readers = [Reader(fold, crops=crops, folds=folds, options=options) for fold in FOLDS]
    print("readers fitted", flush=True)
    as_it_is = measured(readers, samples=samples, distortion=first, strength=first.strengths[0])
    results: dict[str, Any] = {}
    for name, each in DISTORTIONS.items():
        points: list[dict[str, Any]] = [{"strength": each.strengths[0], "readers": as_it_is}]
        for strength in each.strengths[1:]:
            found = measured(readers, samples=samples, distortion=each, strength=strength)
            points.append({"strength": strength, "readers": found})
        results[name] = {"unit": each.unit, "points": points}
        _write(results, options=options, n=len(samples))
        print(name, [(p["strength"], p["readers"][MODEL]["accuracy"]) for p in points], flush=True)
    save_figure(figure(results), path=options.plot)
    print(page(results))


def labelled(options: argparse.Namespace) -> tuple[tuple[Sample, ...], np.ndarray]:
    """The typed crops of the first laboratory, and the fold of each."""
    manifest = read_manifest(options.data / "cci" / "labels.csv", options=ManifestOptions(source="cci"))
    roles = read_roles(options.experiments / "roles.csv")
    samples = roles.pick([one for one in manifest.samples if one.type is not None], roles=FOLDS)
    return samples, np.array([roles.role_of(source=one.source, case=one.case) for one in samples])


def _write(results: dict[str, Any], *, options: argparse.Namespace, n: int) -> None:
    command = shlex.join(["python", *sys.argv])
    values: dict[str, Any] = {"command": command, "seed": SEED, "data": "cci, out of fold", "n_pictures": n}
    values["results"] = results
    options.output.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", required=True, help="bundles, with {fold} for fold1 to fold5")
    parser.add_argument("--calibration", type=Path, required=True, help="JSON of supcam pool")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("SUPCAM_DATA", "data")))
    parser.add_argument("--experiments", type=Path, default=Path("experiments"))
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/robustness.json"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/robustness.png"))
    return parser.parse_args()


if __name__ == "__main__":
    main()
