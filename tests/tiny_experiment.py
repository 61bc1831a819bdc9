"""A plan small enough for every test: a drawn laboratory, four recipes, five runs of four steps each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tests.drawn_laboratory import write_laboratory
from tests.tiny_recipe import NETWORK, SCHEDULE

from supcam.measure.table import UNKNOWN
from supcam.workflows.experiment.closeness import every_run
from supcam.workflows.experiment.outcome import Answered, Outcome, Truth, write_outcome, written
from supcam.workflows.experiment.plan import RESULTS, Plan, Run, read_plan, runs_of
from supcam.workflows.experiment.recipes import first_step_of, recipe_of
from supcam.workflows.experiment.run import Bench

ROLES = {"a": "train", "b": "select", "c": "fold1", "d": "fold2"}
CASES = {"folds": ("c", "d"), "select": ("b",)}
"""Scored sets with their cases."""

PLAN = """
title = "A tiny table"
note = "Nothing to be learnt here."
budget_hours = 1.0
reference = "full"
seeds = [1]

[scored]
folds = ["lab:fold1", "lab:fold2"]
select = ["lab:select"]

[[rows]]
recipe = "plain.toml"
name = "One step"

[[rows]]
recipe = "full.toml"
name = "Two steps; full"

[[rows]]
recipe = "probe.toml"
name = "Two steps; probe"

[[rows]]
recipe = "folded.toml"
name = "One step, out of fold"
folds = ["lab:fold1", "lab:fold2"]
"""
RECIPES = {
    "plain": NETWORK
    + """
[data]
root = "DATA"
roles = "../roles.csv"
train = ["lab:train"]

[data.sources.ours]
source = "lab"
path = "labels.csv"
layout = "csv"

[train]
"""
    + SCHEDULE,
    "full": """extends = "plain.toml"
[pretrain]
queue_slots = 32
hidden_dim = 16
projection_dim = 8
"""
    + SCHEDULE,
    "probe": """extends = "full.toml"
[train]
stage = "probe"
""",
    "folded": """extends = "plain.toml"
[data]
train = ["lab:train", "lab:fold1", "lab:fold2"]
typed_clusters = true
""",
}


def write_bench(folder: Path) -> Bench:
    """The laboratory, the plan and its recipes in ``folder``; nothing is run."""
    write_laboratory(folder, roles=ROLES, n_singles=4)
    return write_plan(folder)


def write_plan(folder: Path) -> Bench:
    """The same without a picture, for results that are invented."""
    tiny = folder / "tiny"
    tiny.mkdir()
    (tiny / "plan.toml").write_text(PLAN)
    for name, text in RECIPES.items():
        (tiny / f"{name}.toml").write_text(text.replace("DATA", str(folder / "data")))
    return Bench(folder=tiny, runs=folder / "runs", commit="0123456789")


def change_plan(bench: Bench, old: str, *, new: str) -> Plan:
    """The plan with other words in one place."""
    path = bench.folder / "plan.toml"
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    return read_plan(bench.folder)


@dataclass(frozen=True)
class Invented:
    """What an invented result says: right on so many of the ten pictures of each case, in so many seconds."""

    n_right: int = 9
    pretrain_seconds: float | None = 32.0
    train_seconds: float | None = 64.0
    macro_recall: float = 0.9


def invent(
    bench: Bench, *, row: str, invented: Invented | None = None, seed: int | None = None
) -> list[Path]:
    """Results of all first runs of a row, or of those with that seed; none was carried out."""
    plan = read_plan(bench.folder)
    runs = runs_of(plan, only=[row]) if seed is None else every_run(plan)
    return [
        _invent(run, plan=plan, bench=bench, invented=invented or Invented())
        for run in runs
        if run.row.key == row and seed in (None, run.seed)
    ]


def _invent(run: Run, *, plan: Plan, bench: Bench, invented: Invented) -> Path:
    recipe = recipe_of(run, plan=plan, folder=bench.folder)
    truths = {name: invented_truth(parts) for name, parts in run.scored_parts(plan).items()}
    first = first_step_of(recipe)
    outcome = Outcome(
        row=run.row.key,
        seed=run.seed,
        fold=run.fold,
        recipe=recipe.model_dump(mode="json"),
        data_hash="0" * 64,
        commit=bench.commit,
        made_with={},
        first_step=first,
        pretrain_pictures=32 if first else 0,
        train_pictures=32,
        pretrain_seconds=invented.pretrain_seconds if first else None,
        train_seconds=invented.train_seconds,
        sets={
            name: invented_answer(truth, invented=invented, seed=run.seed) for name, truth in truths.items()
        },
    )
    return write_outcome(outcome, truths=[*truths.values()], folder=bench.folder / RESULTS, name=run.name)


def invented_truth(parts: tuple[str, ...]) -> Truth:
    """Eight single chromosomes and two touching pairs for each part's case, none of them drawn."""
    cases = [case for case, role in ROLES.items() if f"lab:{role}" in parts]
    return Truth(
        parts=parts,
        cases=tuple(("lab", case) for case in cases),
        case_of=tuple(place for place in range(len(cases)) for _ in range(10)),
        types=written([0] * 8 + [1, UNKNOWN]) * len(cases),
        counts=written([1] * 8 + [2, 2]) * len(cases),
    )


def invented_answer(truth: Truth, *, invented: Invented, seed: int) -> Answered:
    """The last ``n_right`` pictures of each case read right; seeds differ in the accuracy that is told."""
    n, n_right = len(truth.cases), invented.n_right
    return Answered(
        truth=truth.hash,
        types=written([3] * (10 - n_right) + ([0] * 8 + [1, 1])[10 - n_right :]) * n,
        counts=written([3] * (10 - n_right) + ([1] * 8 + [2, 2])[10 - n_right :]) * n,
        figures={
            "accuracy": 0.9 + seed / 1000,
            "clusters_accuracy": None,
            "macro_recall": invented.macro_recall,
        },
    )


def result(bench: Bench, name: str) -> dict[str, object]:
    """What the result of that name says, without the times that a clock gave."""
    found = json.loads((bench.folder / RESULTS / f"{name}.json").read_text())
    assert isinstance(found, dict)
    return {key: value for key, value in found.items() if not key.endswith("_seconds")}
