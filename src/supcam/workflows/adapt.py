"""``supcam adapt``: unlabelled pictures of another laboratory -> adapted weights, and whether it helped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from supcam.core.config import parse_config, read_toml
from supcam.core.types import Region, SupcamError
from supcam.data.files import Unreadable
from supcam.data.harvest import harvest_crops, read_crop
from supcam.data.manifest import read_manifest
from supcam.learn.adaptation import SOURCE, AdaptConfig, Adapted, adapt_network
from supcam.learn.checkpoints import load_network
from supcam.learn.recipe import Recipe
from supcam.learn.run_folder import CHECKPOINT
from supcam.spread.finding import find_ground, find_objects
from supcam.spread.objects import Judge
from supcam.spread.picture import open_picture
from supcam.workflows.classify import Listener
from supcam.workflows.inputs import find_inputs
from supcam.workflows.naming import name_pictures
from supcam.workflows.new_folder import NewFolder

RUN, TEXT, JSON = "run", "adaptation.txt", "adaptation.json"


@dataclass(frozen=True, slots=True)
class AdaptPlan:
    """What to adapt to, from which weights, and where all goes: a new folder.

    ``weights`` is a checkpoint or a run folder. ``crops`` says that each picture shows one object. ``cases``
    names cases as for ``supcam analyze``; some of them are held out. ``labels`` is a manifest of typed crops
    that only judge. ``config`` is a TOML of ``AdaptConfig``.
    """

    named: tuple[str, ...]
    weights: Path
    output: Path
    crops: bool = False
    cases: str = ""
    labels: Path | None = None
    config: Path | None = None


@dataclass(frozen=True, slots=True)
class AdaptSummary:
    """What came of it."""

    adapted: Adapted
    failures: tuple[Unreadable, ...]
    output: Path

    def lines(self) -> list[str]:
        """The whole in words."""
        done = self.adapted
        changes = [done.labelled, done.composed, done.steady]
        return [
            f"{done.n_objects} objects, {done.n_held_out} of them held out; "
            f"{done.n_singles} confident single chromosomes to learn from",
            *(change.told() for change in changes if change is not None),
            done.told(),
            f"checkpoint in {self.output / RUN / CHECKPOINT}",
        ]


def adapt(plan: AdaptPlan, *, listener: Listener | None = None) -> AdaptSummary:
    """An adapted network in a new folder beside what is said of it; the old weights stay as they are.

    Raises ``SupcamError``: weights of no classifier, too few pictures, cases or confident chromosomes, an
    output that is there already.
    """
    listener = listener or Listener()
    NewFolder(plan.output)
    weights = plan.weights / CHECKPOINT if plan.weights.is_dir() else plan.weights
    config = parse_config(AdaptConfig, read_toml(plan.config) if plan.config else {}, where=plan.config or "")
    recipe = load_network(weights).recipe
    failures: list[Unreadable] = []
    regions = _regions(plan, recipe=recipe, failures=failures, listener=listener)
    labelled: tuple[Region, ...] = ()
    if plan.labels is not None:
        found = read_manifest(plan.labels)
        known = harvest_crops(found.samples, image=recipe.image, foreground=recipe.foreground)
        labelled = (*known.singles, *known.clusters)
    done = adapt_network(weights, regions=regions, labelled=labelled, config=config, folder=plan.output / RUN)
    summary = AdaptSummary(done, tuple(failures), plan.output)
    (plan.output / TEXT).write_text("\n".join(summary.lines()) + "\n", encoding="utf-8")
    values = {
        "helped": done.helped,
        "told": summary.lines(),
        "weights": str(weights),
        "config": config.model_dump(),
        "adapted": {**asdict(done), "checkpoint": str(done.checkpoint)},
        "errors": [{"path": str(item.path), "reason": item.reason} for item in failures],
    }
    (plan.output / JSON).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return summary


def _regions(
    plan: AdaptPlan, *, recipe: Recipe, failures: list[Unreadable], listener: Listener
) -> Sequence[Region]:
    """The objects of all pictures that can be read, each with the case of its picture."""
    inputs = find_inputs(plan.named)
    names = name_pictures(inputs.names, cases=plan.cases, pseudonymise=False)
    failures += inputs.unusable
    listener.started(len(inputs.names))
    regions: list[Region] = []
    for name in inputs.names:
        path = Path(name)
        try:
            found = [_crop(path, recipe=recipe)] if plan.crops else [*_objects(path, recipe=recipe)]
        except SupcamError as error:
            failures.append(Unreadable(path, error.reason))
            listener.failed(failures[-1])
        else:
            case = names.cases[name]
            regions += [replace(one, case=case, source=SOURCE, picture=path.stem) for one in found]
        listener.advanced(1)
    return regions


def _crop(path: Path, *, recipe: Recipe) -> Region:
    return read_crop(path, image=recipe.image, foreground=recipe.foreground)


def _objects(path: Path, *, recipe: Recipe) -> Iterator[Region]:
    """The objects of a metaphase that may be chromosomes by their shape, and that no border cuts."""
    with open_picture(path, config=recipe.image) as picture:
        ground = find_ground(picture, config=recipe.foreground)
        width_px, polarity = ground.levels.width_px, picture.polarity
        judge = Judge(size=picture.size, width_px=width_px, threshold=0.0, polarity=polarity)
        for area in find_objects(picture, ground=ground, config=recipe.foreground):
            for found in area:
                if found.region is not None and not found.is_cut and judge.by_shape(found) is None:
                    yield found.region
