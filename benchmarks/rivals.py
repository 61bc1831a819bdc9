"""What came before, on the same roles: majority, rules, eleven geometric features, transfer from ImageNet.

    SUPCAM_DATA=... python benchmarks/rivals.py --output benchmarks/results/rivals.json

Every rival is fitted on what the recipes of the default model learn from, and scored where they are scored:
on each fold of the first laboratory by a fit without it (pooled over all five), and on the typed crops of the
second laboratory's select role by a fit on all other parts. Each learns twice: from real pictures alone
(``real``), and from samples as step 2 of SupCAM gets them, composed and real ones mixed (``composed``). The
rows that are asked for are added to the output file; other rows in it stay as they are.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from supcam.core.crop import network_input
from supcam.core.reading import JointReading
from supcam.core.types import Sample
from supcam.data.crop_set import CropSet
from supcam.data.harvest import Harvest, read_crop
from supcam.data.manifest import Manifest
from supcam.data.split import Roles, read_roles
from supcam.learn.crop_sets import drawn_crops, real_crops
from supcam.learn.recipe import read_recipe
from supcam.learn.sources import PartsReader, read_sources, source_of
from supcam.learn.stages import Stages, read_stages
from supcam.measure.intervals import bootstrap_by_case, figures_by_name
from supcam.measure.metrics import confusion
from supcam.measure.rivals.classifier import ClassifierKind, ClassifierPlan, fit_classifier
from supcam.measure.rivals.geometric import geometric_features
from supcam.measure.rivals.rules import fit_rules
from supcam.measure.table import PredictionTable, pool
from supcam.pack.scoring import reading_table

FOLDS = ("fold1", "fold2", "fold3", "fold4", "fold5")
SCORED = {fold: ("cci", fold) for fold in FOLDS} | {"select": ("tseng24", "select")}
"""What each split is scored on: source and role."""
RECIPES = {fold: f"default/supcam_{fold}.toml" for fold in FOLDS} | {"select": "default/supcam_model.toml"}
KINDS: tuple[ClassifierKind, ...] = tuple(kind for kind in get_args(ClassifierKind) if kind != "majority")
FINE_TUNED = "ImageNet weights, fine-tuned"
"""As many pictures as ``transfer.toml`` says."""
TRANSFER_PX = 160
TRANSFER_PENALTY = 100.0
FIGURES = (
    "accuracy",
    "clusters_accuracy",
    "macro_recall",
    "instance_vs_cluster",
    "count_exact_2_3",
    "recall_instance",
    "recall_touching",
    "recall_overlapping",
    "recall_touching_overlapping",
)
SEED = 0


@dataclass(frozen=True, eq=False)
class Split:
    """One fit: its training crops, real or composed, and the labelled samples that it is scored on."""

    name: str
    train: CropSet
    samples: tuple[Sample, ...]
    pictures: np.ndarray
    harvest: Harvest
    stages: Stages
    is_composed: bool


@dataclass(frozen=True, eq=False)
class Laboratory:
    """Everything on disk, each part cut from its pictures once."""

    experiments: Path
    manifest: Manifest
    roles: Roles
    reader: PartsReader

    def stages(self, name: str) -> Stages:
        """The settings of a split's recipe."""
        return read_stages(read_recipe(self.experiments / RECIPES[name]))

    def harvest(self, stages: Stages) -> Harvest:
        """What a recipe learns from."""
        return self.reader.harvest(stages.recipe, parts=stages.data.train)

    def split(self, name: str, *, composed: int) -> Split:
        """The split with so many drawn samples to learn from, or with every real crop once where 0."""
        stages = self.stages(name)
        harvest = self.harvest(stages)
        if composed:
            train = drawn_crops(source_of(harvest, stages=stages), n=composed, seed=SEED)
        else:
            train = real_crops(harvest, stages=stages)
        source, role = SCORED[name]
        typed = [
            s for s in self.manifest.samples if s.source == source and s.box is None and s.type is not None
        ]
        samples = self.roles.pick(typed, roles=[role])
        regions = [
            read_crop(s.path, image=stages.recipe.image, foreground=stages.recipe.foreground) for s in samples
        ]
        pictures = np.stack([network_input(region, config=stages.crop) for region in regions])
        return Split(name, train, samples, pictures, harvest, stages, is_composed=composed > 0)


def readings(split: Split, *, options: argparse.Namespace) -> Iterator[tuple[str, JointReading]]:
    """Each rival with what it reads in the split's pictures, fitted on its training crops."""
    train, rivals = split.train, options.rivals
    if "majority" in rivals:
        nothing = np.zeros((len(train), 1)), np.zeros((len(split.pictures), 1))
        yield "majority", _read(nothing, train=train, plan=ClassifierPlan(kind="majority"))
    if "rules" in rivals:
        yield "rules", fit_rules(train, seed=SEED).read(split.pictures)
    if "geometric" in rivals:
        shapes = geometric_features(train.pictures), geometric_features(split.pictures)
        for kind in KINDS:
            for balanced in (True, False):
                plan = ClassifierPlan(kind=kind, balanced=balanced, seed=SEED)
                weights = "balanced" if balanced else "as found"
                if kind != "nearest" or balanced:
                    yield f"geometric, {kind}, {weights}", _read(shapes, train=train, plan=plan)
    if "transfer" in rivals:
        from supcam.learn.transfer import imagenet_features

        features = (
            imagenet_features(train.pictures, size_px=TRANSFER_PX),
            imagenet_features(split.pictures, size_px=TRANSFER_PX),
        )
        plan = ClassifierPlan(kind="logistic", penalty=TRANSFER_PENALTY)
        yield "ImageNet features, logistic", _read(features, train=train, plan=plan)
    if "fine_tuning" in rivals:
        yield FINE_TUNED, _fine_tuned(split, options=options)


def _fine_tuned(split: Split, *, options: argparse.Namespace) -> JointReading:
    """What the network of ``transfer.toml`` reads, trained on the split; a killed run goes on."""
    from supcam.learn.run import run_finetuning
    from supcam.learn.sources import sources_of
    from supcam.learn.transfer import read_pictures, write_imagenet_start

    recipe = read_recipe(options.experiments / "transfer.toml")
    start = options.runs / "imagenet.ckpt"
    if not start.exists():
        write_imagenet_start(start, recipe=recipe)
    train = {"compose": split.is_composed, "init_from": str(start)}
    data = {**split.stages.recipe.data, "balanced_types": not split.is_composed}
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update=train), "data": data})
    name = f"transfer_{'composed' if split.is_composed else 'real'}_{split.name}"
    folder, done = options.runs / name, options.runs / f"{name}.done"
    if not done.exists():
        sources = sources_of(split.harvest, validation={}, data_hash=name, stages=read_stages(recipe))
        run_finetuning(recipe, sources=sources, folder=folder)
        done.touch()
    return read_pictures(split.pictures, checkpoint=folder / "checkpoints" / "last.ckpt")


def _read(features: tuple[np.ndarray, np.ndarray], *, train: CropSet, plan: ClassifierPlan) -> JointReading:
    return fit_classifier(features[0], types=train.types, counts=train.counts, plan=plan).read(features[1])


def scores(tables: Sequence[PredictionTable]) -> dict[str, object]:
    """The figures of the pooled tables, each with its interval by case, and the confusion."""
    table = pool(tables)
    values = figures_by_name(table)
    intervals = bootstrap_by_case(table, rng=np.random.default_rng(SEED))
    spans = {name: (intervals[name].low, intervals[name].high) for name in FIGURES}
    return {
        "pictures": len(table),
        "cases": len({str(key) for key in table.case_keys}),
        "figures": {name: _plain(values[name]) for name in FIGURES},
        "intervals": {name: [_plain(end) for end in span] for name, span in spans.items()},
        "confusion": confusion(table.true_types, predicted=table.predicted_types).tolist(),
    }


def _plain(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def main() -> None:
    """Fits and scores the rivals that are asked for, and writes their rows."""
    options = _options()
    laboratory = _laboratory(options.experiments)
    for data in options.data:
        tables: dict[str, dict[str, PredictionTable]] = {}
        for name in SCORED:
            begin = time.perf_counter()
            split = laboratory.split(name, composed=options.composed if data == "composed" else 0)
            for rival, reading in readings(split, options=options):
                table = reading_table(split.samples, reading=reading, fold=name)
                tables.setdefault(rival, {})[name] = table
            print(
                f"{data}, {name}: {len(split.train)} crops, {time.perf_counter() - begin:.0f} s", flush=True
            )
        _write(options.output, data=data, tables=tables, composed=options.composed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    rivals = ("majority", "rules", "geometric", "transfer", "fine_tuning")
    parser.add_argument("--rivals", nargs="+", choices=rivals, default=list(rivals))
    parser.add_argument("--data", nargs="+", choices=("real", "composed"), default=["real", "composed"])
    parser.add_argument("--composed", type=int, default=6000, help="samples drawn for each fit")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where fine-tuning keeps its runs")
    parser.add_argument("--experiments", type=Path, default=Path("experiments"))
    parser.add_argument("--output", type=Path, required=True)
    return parser.parse_args()


def _laboratory(experiments: Path) -> Laboratory:
    stages = read_stages(read_recipe(experiments / RECIPES["select"]))
    return Laboratory(
        experiments=experiments,
        manifest=read_sources(stages.data),
        roles=read_roles(experiments / stages.data.roles),
        reader=PartsReader(folder=experiments),
    )


def _write(path: Path, *, data: str, tables: dict[str, dict[str, PredictionTable]], composed: int) -> None:
    """The rows in the file at ``path``, in place of older ones of the same rival and data."""
    rows = {}
    for rival, by_split in tables.items():
        rows[f"{rival} ({data})"] = {
            "rival": rival,
            "data": data,
            "drawn_samples": None if data == "real" or rival == FINE_TUNED else composed,
            "cci": scores([by_split[fold] for fold in FOLDS]),
            "select": scores([by_split["select"]]),
            "command": shlex.join(["python", *sys.argv]),
            "commit": _commit(),
            "seed": SEED,
        }
    older = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    path.write_text(json.dumps({"rows": {**older, **rows}}, indent=1) + "\n", encoding="utf-8")


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


if __name__ == "__main__":
    main()
