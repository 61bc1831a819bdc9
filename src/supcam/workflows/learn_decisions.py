"""People's decisions -> a new model beside the old one, and what it is worth on decisions held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import supcam
from supcam.core.types import ClusterType, ConfigError
from supcam.data.decided import DecidedSet, Halves, read_decided, split_by_case, unpacked
from supcam.learn.decided import (
    LEAST_SINGLES,
    DecidedHarvest,
    decided_recipe,
    decided_sources,
    fitted,
    harvest_decided,
    shown,
)
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.run import RunResult, run_finetuning
from supcam.measure.table_csv import write_table
from supcam.pack.before_after import FOLDER, BeforeAfter, DecidedFacts
from supcam.pack.before_after_page import to_html, to_markdown
from supcam.pack.bundle import DEFAULT_MODEL, Model, load_model
from supcam.pack.export import ExportPlan, export
from supcam.pack.folder import refuse_existing
from supcam.pack.judging import Judged, judge
from supcam.pack.offspring import Parentage, export_offspring, model_id, write_offspring
from supcam.pack.restore import recipe_of, restore, write_checkpoint
from supcam.pack.scoring import score
from supcam.workflows.whole_file import WholeFile, unwritable

MODEL, TRAINING, BEFORE, START = "model", "training", "before", "start.ckpt"
COMPARISON = "comparison"
_DATABASE = "supcam.sqlite"
_SURE = 0.9
"""How sure a model without a fitted threshold must be that a single chromosome is one, to compose from it."""
_REFERENCES = 256
_MOST_COMPARED = 64
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class DecisionsPlan:
    """What is learnt from what.

    ``decisions`` is an export (ZIP or folder), or a service's data folder with its SQLite. ``start`` is a
    model folder or a checkpoint; ``None``: the model that the package carries. ``recipe`` replaces our choice
    of training. ``share`` of the cases is held out by ``seed``. ``show_in`` is the data folder of the service
    whose page shows the comparison. ``version`` is that of the new model; blank: the old one's with the
    decisions' hash.
    """

    decisions: Path
    output: Path
    start: Path | None = None
    recipe: Path | None = None
    share: float = 0.3
    seed: int = 0
    version: str = ""
    show_in: Path | None = None
    progress: bool = False


@dataclass(frozen=True, slots=True)
class Learnt:
    """The new model's folder, the comparison, and its files."""

    model: Path
    comparison: BeforeAfter
    files: tuple[Path, ...]


def learn_from_decisions(plan: DecisionsPlan, *, tell: Tell) -> Learnt:
    """A new model in ``plan.output``, and the comparison with the old one, which stays as it is.

    Killed and started again, it goes on. Raises ``ManifestError`` for an export that cannot be used or holds
    too little, ``BundleError`` for a model that cannot be trained on or an output that is there already,
    ``TrainingError`` for an output that holds another run.
    """
    if not 0 < plan.share < 1:
        raise ConfigError(f"a share of {plan.share}", expected="between 0 and 1", remedy="correct --hold-out")
    refuse_existing(plan.output / MODEL)
    with _export_of(plan.decisions) as folder:
        decided = read_decided(folder)
        halves = split_by_case(decided, share=plan.share, seed=plan.seed)
        tell(_split_told(halves, seed=plan.seed))
        before = _bundle_of(plan)
        model = load_model(before)
        learnt = _learn(halves.learning, model=model, bundle=before, plan=plan, tell=tell)
        return _finish(learnt, halves=halves, decided=decided, plan=plan)


@dataclass(frozen=True, slots=True, eq=False)
class _Trained:
    """A finished run, what it learnt from, and the model it started from."""

    run: RunResult
    recipe: Recipe
    found: DecidedHarvest
    model: Model
    bundle: Path


def _learn(learning: DecidedSet, *, model: Model, bundle: Path, plan: DecisionsPlan, tell: Tell) -> _Trained:
    network = recipe_of(model.card, where=bundle)
    own = read_recipe(plan.recipe) if plan.recipe else None
    wished = decided_recipe(network, trained=model.card.training, own=own)
    wished = wished.seeded(plan.seed) if own is None else wished
    found = harvest_decided(learning, sure=_sure_singles(learning, model=model), recipe=wished)
    recipe = fitted(wished, found=found)
    tell(_found_told(found, recipe=recipe))
    data_hash = f"{learning.fingerprint} {model.card.seal}"
    sources = decided_sources(found, recipe=recipe, data_hash=data_hash)
    restored = restore(bundle, pictures=shown(sources, n=_REFERENCES, seed=plan.seed))
    plan.output.mkdir(parents=True, exist_ok=True)
    start = write_checkpoint(restored, path=plan.output / START)
    run = run_finetuning(
        recipe.started_from(start),
        sources=sources,
        folder=plan.output / TRAINING,
        progress=plan.progress,
        reuse=True,
    )
    return _Trained(run, recipe=recipe, found=found, model=model, bundle=bundle)


def _sure_singles(learning: DecidedSet, *, model: Model) -> frozenset[Path]:
    """Files of single chromosomes that people and model call so: what clusters may be composed from."""
    threshold = model.calibration.accept_threshold
    least = threshold if threshold <= 1 else _SURE
    singles = [sample for sample in learning.typed if sample.type is ClusterType.INSTANCE]
    return frozenset(
        item.sample.path
        for item in score(singles, model=model).scored
        if item.prediction.label is ClusterType.INSTANCE and item.prediction.confidence >= least
    )


def _finish(trained: _Trained, *, halves: Halves, decided: DecidedSet, plan: DecisionsPlan) -> Learnt:
    """The new bundle scored, then given its name; the reports beside it."""
    learning, parent = halves.learning, trained.model
    learnt = f"decisions on {len(learning.samples)} objects of {len(learning.cases)} cases"
    parentage = Parentage(
        parent=parent.card,
        calibration=parent.calibration,
        learnt=learnt,
        sha256=decided.fingerprint,
        version=plan.version,
        pictures=[sample.path for sample in learning.typed[:: len(learning.typed) // _MOST_COMPARED + 1]],
    )
    with TemporaryDirectory(prefix=".unscored-", dir=plan.output) as name:
        unscored = Path(name) / MODEL
        card = export_offspring(trained.run.checkpoint, output=unscored, parentage=parentage)
        judged = judge(parent, load_model(unscored), held_out=halves.held_out, seed=plan.seed)
        comparison = BeforeAfter(
            made=datetime.now(UTC).replace(microsecond=0),
            before=model_id(parent.card),
            after=model_id(card),
            decided=_facts(trained, judged=judged, halves=halves, decided=decided, seed=plan.seed),
            figures=judged.figures,
            test=judged.test,
            notes=tuple(_notes(trained, halves=halves, decided=decided)),
            supcam_version=supcam.__version__,
            steps=trained.run.steps,
        )
        files = tuple(_write(comparison, judged=judged, plan=plan))
        write_offspring(unscored, output=plan.output / MODEL, comparison=comparison)
    return Learnt(plan.output / MODEL, comparison=comparison, files=files)


def _facts(
    trained: _Trained, *, judged: Judged, halves: Halves, decided: DecidedSet, seed: int
) -> DecidedFacts:
    harvest, held_out = trained.found.harvest, halves.held_out
    return DecidedFacts(
        n_learnt=len(harvest.singles) + len(harvest.clusters),
        n_learnt_rejected=len(harvest.debris),
        n_learnt_cases=len(halves.learning.cases),
        n_held_out=len(judged.before),
        n_held_out_rejected=len(held_out.rejected),
        n_held_out_cases=len({*judged.before.cases.tolist()}),
        n_unread=judged.n_unread,
        n_reviewers=decided.n_reviewers,
        n_composed_from=len(trained.found.sure) if trained.recipe.train.compose else 0,
        seed=seed,
        sha256=decided.fingerprint,
    )


def _notes(trained: _Trained, *, halves: Halves, decided: DecidedSet) -> Iterator[str]:
    yield from (*decided.notes, *halves.notes)
    yield (
        "People decided with the model's word before them, and chose what to look at: the figures are of "
        "decided objects, not of all."
    )
    yield "Temperature and thresholds are those of the model before."
    if not trained.found.harvest.debris:
        yield "Nothing was rejected by people: the chromosome-or-not head was not taught."
    if not trained.recipe.train.compose:
        n_sure = len(trained.found.sure)
        yield f"Nothing was composed: {n_sure} sure single chromosomes, of {LEAST_SINGLES} that it takes."
    other = {sha256 for _, sha256 in decided.models} - {trained.model.card.model_sha256, ""}
    if other:
        yield "Some decisions were made on the word of another model than the one before."
    n_left = len(trained.found.harvest.left_out)
    if n_left:
        yield f"{n_left} crops could not be used and were not learnt from."


def _write(comparison: BeforeAfter, *, judged: Judged, plan: DecisionsPlan) -> Iterator[Path]:
    """JSON, Markdown and page, the answers of both models, and the JSON where the service looks for it."""
    output, content = plan.output, comparison.to_json().decode()
    for path, text in (
        (output / f"{COMPARISON}.json", content),
        (output / f"{COMPARISON}.md", to_markdown(comparison)),
        (output / f"{COMPARISON}.html", to_html(comparison)),
    ):
        yield _write_text(path, text)
    for name, table in (("before", judged.before), ("after", judged.after)):
        yield write_table(table, path=output / f"predictions_{name}.csv")
    place = plan.show_in or (plan.decisions if _is_service(plan.decisions) else None)
    if place is not None:
        name = f"{comparison.made:%Y%m%dT%H%M%S}-{comparison.after.sha256[:8]}.json"
        yield _write_text(place / FOLDER / name, content)


def _write_text(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    with WholeFile(path) as file:
        file.write(text)
        file.keep()
    return path


def _bundle_of(plan: DecisionsPlan) -> Path:
    """The model to start from as a bundle; a checkpoint becomes one, with nothing rounded."""
    if plan.start is None:
        return DEFAULT_MODEL
    if plan.start.is_dir():
        return plan.start
    before = plan.output / BEFORE
    if not before.exists():
        export(plan.start, output=before, plan=ExportPlan(weights="float32"))
    return before


@contextmanager
def _export_of(decisions: Path) -> Iterator[Path]:
    """The folder of an export, of a ZIP, or of what a service's data folder holds now."""
    if not _is_service(decisions):
        with unpacked(decisions) as folder:
            yield folder
        return
    from supcam.web.serving import decisions_now  # noqa: PLC0415  an export needs nothing of the service

    with TemporaryDirectory(prefix="supcam-decisions-") as name:
        archive = Path(name) / "decisions.zip"
        decisions_now(archive, data=decisions)
        with unpacked(archive) as folder:
            yield folder


def _is_service(decisions: Path) -> bool:
    return (decisions / _DATABASE).is_file()


def _split_told(halves: Halves, *, seed: int) -> str:
    learning, held_out = halves.learning, halves.held_out
    return (
        f"learning from {len(learning.samples)} decided objects of {len(learning.cases)} cases; "
        f"{len(held_out.samples)} of {len(held_out.cases)} others are held out (split by case, seed {seed})"
    )


def _found_told(found: DecidedHarvest, *, recipe: Recipe) -> str:
    harvest = found.harvest
    composed = (
        f"clusters are composed from {len(found.sure)} sure ones"
        if recipe.train.compose
        else f"nothing is composed, sure ones are {len(found.sure)} of {LEAST_SINGLES}"
    )
    return (
        f"{len(harvest.singles)} single chromosomes, {len(harvest.clusters)} clusters, {len(harvest.debris)} "
        f"rejected objects; {composed}; {recipe.train.total_steps} steps"
    )
