"""``supcam reproduce chrcluster``: ChrCluster's folder -> networks, and a table beside the published one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from supcam.core.config import DataConfig, parse_config
from supcam.core.types import ClusterType, ConfigError, ManifestError
from supcam.data.chrcluster import (
    LIN_SIDES,
    SOURCE,
    Division,
    FolderCheck,
    check_folder,
    divide_as_published,
    divide_by_case,
)
from supcam.data.split import Roles, read_roles, write_roles
from supcam.learn.batches import TrainingSources
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.run import require_device
from supcam.learn.sources import build_sources
from supcam.pack.card import CardWords
from supcam.pack.evaluate import EvaluationPlan, evaluate
from supcam.pack.export import ExportPlan, export
from supcam.workflows.reproduction_setup import claim_output
from supcam.workflows.reproduction_table import Asked, scores_folder, write_comparison
from supcam.workflows.train import require_one_start, train_by

Split = Literal["lin", "case"]
Tell = Callable[[str], None]

RECIPE = "chrcluster_resnet50.toml"
_ROLES = "roles.csv"


@dataclass(frozen=True, slots=True)
class ReproducePlan:
    """What is reproduced, and how.

    ``data`` is a folder in ChrCluster's layout, ``output`` where everything goes; a stopped reproduction goes
    on. ``recipe`` is a training configuration whose table ``[data]`` gives way to this data and its split
    (its shares and its source's ``label_map`` and ``case_rule`` stay); ``None``: the full-size one.
    ``label_map`` and ``case_rule`` go before the recipe's. ``role`` is scored; recipes are chosen on
    ``select``. With ``strict``, what differs from the published data set is an error.
    """

    data: Path
    output: Path
    recipe: Path | None = None
    seeds: tuple[int, ...] = (1, 2, 3)
    splits: tuple[Split, ...] = ("lin", "case")
    label_map: Mapping[int, ClusterType] | None = None
    case_rule: str = ""
    role: Literal["select", "report"] = "report"
    strict: bool = False
    command: str = ""
    commit: str = ""
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Reproduction:
    """A finished reproduction: what the folder holds, and the page with the table."""

    check: FolderCheck
    page: Path


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The plan with its recipe read, its seeds and data to be filled in, and its folder checked."""

    plan: ReproducePlan
    recipe: Recipe
    check: FolderCheck
    tell: Tell


def default_recipe() -> Path:
    """The full-size recipe: beside this file in an installed package, else in the checkout."""
    here = Path(__file__).resolve()
    places = (here.with_name(RECIPE), here.parents[3] / "experiments" / RECIPE)
    return next((place for place in places if place.is_file()), Path("experiments") / RECIPE)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds in ``1,2,3``, each once. Raises ``ConfigError``."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(
            f"the seeds {text!r}", expected="whole numbers with commas between", remedy="correct --seeds"
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def check_data(plan: ReproducePlan, *, tell: Tell) -> FolderCheck:
    """What the plan's folder holds, told line by line. Raises ``ManifestError`` for what cannot be used.

    With ``strict``, every difference from the published data set is such an error.
    """
    return _prepare(plan, tell=tell).check


def reproduce(plan: ReproducePlan, *, tell: Tell) -> Reproduction:
    """Checks the folder, trains by the recipe on each split with each seed, scores, and writes the table.

    Started again after a kill, it goes on; seeds may be added. Raises ``ManifestError`` for a folder that
    cannot be used, ``ConfigError`` for a recipe, ``TrainingError`` where the machine lacks what the recipe
    asks for and where ``output`` holds something else.
    """
    prepared = _prepare(plan, tell=tell)
    for step in (prepared.recipe.pretrain, prepared.recipe.train):
        if step is not None:
            require_device(step)
    claim_output(plan.output, setup=_setup_of(prepared))
    divisions: dict[str, Division] = {split: _divide(prepared, split=split) for split in plan.splits}
    page = _write(prepared, divisions=divisions)
    for split, division in divisions.items():
        if division.roles is None:
            continue
        recipe = _recipe_on(prepared, division=division)
        sources = cache(partial(build_sources, recipe, folder=plan.output / split))
        for seed in plan.seeds:
            _run_seed(prepared, split=split, division=division, seed=seed, sources=sources)
            page = _write(prepared, divisions=divisions)
    return Reproduction(check=prepared.check, page=page)


# The folder and the recipe ----------------------------------------------------------------------------------


def _prepare(plan: ReproducePlan, *, tell: Tell) -> _Prepared:
    path = plan.recipe or default_recipe()
    recipe = read_recipe(path)
    require_one_start(recipe, where=path)
    own = parse_config(DataConfig, recipe.data, where="[data]").sources.get(SOURCE)
    label_map = plan.label_map
    if label_map is None and own is not None and own.label_map is not None:
        label_map = {number: ClusterType.from_label(label) for number, label in own.label_map.items()}
    rule = plan.case_rule or ((own.case_rule or "") if own is not None else "")
    check = check_folder(plan.data, label_map=label_map, image=recipe.image)
    for line in _told(check):
        tell(line)
    if plan.strict and check.problems:
        raise ManifestError(
            "; ".join(check.problems),
            expected="the data set as it was published",
            remedy="complete the folder, or leave --strict away",
            where=plan.data,
        )
    return _Prepared(plan=replace(plan, case_rule=rule), recipe=recipe, check=check, tell=tell)


def _told(check: FolderCheck) -> list[str]:
    types = check.manifest.label_map
    counted = ", ".join(f"{number} ({types[number].label}) {n:,}" for number, n in check.n_by_folder.items())
    return [
        f"{sum(check.n_by_folder.values()):,} pictures by folder: {counted}",
        f"SHA-256 of all pictures and their folders: {check.pictures_sha256}",
        *(f"note: {note}" for note in check.notes),
        *(f"warning: {problem}" for problem in check.problems),
    ]


def _setup_of(prepared: _Prepared) -> dict[str, object]:
    """All that must stay the same from one start to the next, as JSON."""
    recipe = prepared.recipe.model_dump(mode="json")
    for table in ("pretrain", "train"):
        if recipe[table] is not None:
            del recipe[table]["seed"]
    types = prepared.check.manifest.label_map
    return {
        "recipe": recipe,
        "pictures_sha256": prepared.check.pictures_sha256,
        "label_map": {str(number): kind.label for number, kind in types.items()},
        "case_rule": prepared.plan.case_rule,
    }


# One split --------------------------------------------------------------------------------------------------


def _divide(prepared: _Prepared, *, split: str) -> Division:
    """The pictures with their roles, which are in the split's folder: read where they are, else drawn."""
    plan = prepared.plan
    if split == "lin":
        division = divide_as_published(prepared.check)
    else:
        division = divide_by_case(prepared.check, root=plan.data, rule=plan.case_rule)
    if division.roles is None:
        prepared.tell(f"split {split}: none, since {division.why_not}")
        return division
    path = plan.output / split / _ROLES
    if path.exists():
        division = replace(division, roles=read_roles(path))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_roles(division.roles or Roles(()), path=path)
    for line in _told_division(division, split=split):
        prepared.tell(line)
    return division


def _told_division(division: Division, *, split: str) -> list[str]:
    sides = ", ".join(f"{n:,} {role}" for role, n in division.n_by_role.items())
    if split == "lin":
        published = ", ".join(f"{n:,} {role}" for role, n in LIN_SIDES.items())
        return [f"split {split} (by picture, as published: {published}): {sides}"]
    cases = sorted({sample.case for sample in division.manifest.samples})
    return [
        f"split {split}: {sides}",
        f"note: {len(cases):,} cases were read from the names by the rule {division.rule!r}, such as "
        f"{', '.join(cases[:3])}: check that they are cases",
    ]


def _recipe_on(prepared: _Prepared, *, division: Division) -> Recipe:
    """The recipe with its data in place: the folder, its label map and cases, and the roles of the split."""
    types = prepared.check.manifest.label_map
    source: dict[str, JsonValue] = {
        "source": SOURCE,
        "path": ".",
        "layout": "chrcluster",
        "case_rule": division.rule,
        "label_map": {str(number): kind.label for number, kind in types.items()},
    }
    data: dict[str, JsonValue] = {
        **prepared.recipe.data,
        "root": str(prepared.plan.data.absolute()),
        "roles": _ROLES,
        "sources": {SOURCE: source},
        "train": [f"{SOURCE}:train"],
        "validation": {"select": [f"{SOURCE}:select"]},
    }
    return prepared.recipe.model_copy(update={"data": data})


# One run ----------------------------------------------------------------------------------------------------


def _run_seed(
    prepared: _Prepared,
    *,
    split: str,
    division: Division,
    seed: int,
    sources: Callable[[], TrainingSources],
) -> None:
    """Trains, packs and scores one network; what was done before is left as it is."""
    plan = prepared.plan
    folder = plan.output / split / f"seed{seed}"
    scores = scores_folder(plan.output, split=split, seed=seed, role=plan.role)
    if scores.exists():
        return
    prepared.tell(f"split {split}, seed {seed}: training")
    recipe = _recipe_on(prepared, division=division).seeded(seed)
    run = train_by(
        recipe,
        build_sources=lambda _: sources(),
        output=folder / "run",
        progress=plan.progress,
        reuse=True,
    )
    model = folder / "model"
    if not model.exists():
        words = CardWords(name=f"{SOURCE}-{split}-seed{seed}")
        export(run.checkpoint, output=model, plan=ExportPlan(words=words, weights="float32"))
    prepared.tell(f"split {split}, seed {seed}: scoring role {plan.role}")
    _score(prepared, model=model, division=division, output=scores)


def _score(prepared: _Prepared, *, model: Path, division: Division, output: Path) -> None:
    """The evaluation at ``output``, whole or not there."""
    plan = prepared.plan
    unfinished = output.with_name(f"{output.name}.unfinished")
    asked = EvaluationPlan(
        role=plan.role, roles=division.roles, data=SOURCE, command=plan.command, commit=plan.commit
    )
    manifest = replace(division.manifest, unreadable=())
    evaluate(model, manifest=manifest, output=unfinished, plan=asked)
    unfinished.replace(output)


def _write(prepared: _Prepared, *, divisions: Mapping[str, Division]) -> Path:
    plan = prepared.plan
    return write_comparison(
        Asked(
            output=plan.output,
            check=prepared.check,
            divisions=divisions,
            seeds=plan.seeds,
            role=plan.role,
            recipe=(plan.recipe or default_recipe()).name,
            command=plan.command,
            commit=plan.commit,
        )
    )
