"""``supcam fit-context``: boxed metaphases -> a bundle that reads objects in their picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from supcam.core.types import BundleError, ImageError, Polarity, SupcamError
from supcam.data.files import Unreadable
from supcam.data.harvest import box_owners
from supcam.data.manifest import AnnotatedPicture, Manifest, ManifestOptions, read_manifest
from supcam.data.split import Roles
from supcam.measure.in_context import BoxedObjects, fit_in_context
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import InContext
from supcam.pack.folder import parts_of, read_folder, write_folder
from supcam.pack.metaphases import boxed_metaphases
from supcam.spread.analyze import Alone, analyze, look_alone
from supcam.spread.in_context import measure
from supcam.spread.result import Analysis
from supcam.workflows.classify import Listener

_KEPT_BACK = "report"
_DRAWN = "drawn metaphases"


@dataclass(frozen=True, slots=True)
class ContextPlan:
    """Which metaphases: ``role`` is learnt from, ``check`` is looked at before and after.

    Without ``roles`` all pictures are learnt from and none is looked at. ``drawn``, metaphases by ``supcam
    synth``, are learnt from beside them where their polarity is the same, as those of other laboratories.
    """

    role: str
    roles: Roles | None = None
    check: str = ""
    drawn: Manifest = field(default_factory=Manifest)


@dataclass(frozen=True, slots=True)
class CountFigures:
    """What analyses of boxed metaphases are like: ``count_error`` is the mean absolute error of the total.

    ``precision`` is the share of kept objects that own a box, ``singles_right`` that of these for which
    single or cluster is right, ``numbers_right`` that of clusters whose number is.
    """

    n_pictures: int
    count_error: float
    precision: float
    singles_right: float
    numbers_right: float

    def told(self) -> str:
        """In one line."""
        return (
            f"count wrong by {self.count_error:.2f} a metaphase, {self.precision:.2%} of what is kept are "
            f"chromosomes, single or cluster right for {self.singles_right:.2%}, numbers of clusters for "
            f"{self.numbers_right:.1%}"
        )


@dataclass(frozen=True, slots=True)
class ContextFit:
    """What came of it: figures of the pictures looked at, each object by itself and in context."""

    reading: InContext
    before: CountFigures | None
    after: CountFigures | None

    def told(self) -> list[str]:
        """In a few lines."""
        lines = [f"{self.reading.n_objects} objects of {self.reading.n_pictures} metaphases"]
        if self.before is not None and self.after is not None:
            lines += [
                f"{self.before.n_pictures} other metaphases, each object by itself: {self.before.told()}",
                f"the same in context: {self.after.told()}",
            ]
        return lines


def drawn_metaphases(folder: Path) -> Manifest:
    """What ``supcam synth`` wrote into ``folder``: its metaphases, with a box a chromosome.

    Raises ``ManifestError`` for another folder.
    """
    options = ManifestOptions(source="drawn", pictures_folder=folder / "images")
    return read_manifest(folder / "annotations", layout="voc", options=options)


def fit_context(
    bundle: Path, *, manifest: Manifest, output: Path, plan: ContextPlan, listener: Listener | None = None
) -> ContextFit:
    """The new bundle in ``output``: the network of ``bundle``, byte for byte, and how to read in context.

    Raises ``BundleError`` for a bundle without trained heads for number and chromosome-or-not, or an output
    that exists; ``SupcamError`` for too few pictures, those of both polarities, or a role kept back.
    """
    listener = listener or Listener()
    files = read_folder(bundle)
    heads = files.card.heads_trained
    if not (heads.count and heads.chromosome):
        raise BundleError(
            "heads for number or chromosome-or-not that are not trained",
            expected="a model with both",
            remedy="train them, or take another model",
            where=bundle,
        )
    if _KEPT_BACK in (plan.role, plan.check):
        raise SupcamError(
            f"role {_KEPT_BACK}",
            expected="pictures that nothing is chosen by",
            remedy="name another role",
        )
    alone = load_model(bundle, threads=1)
    alone = replace(alone, calibration=alone.calibration.model_copy(update={"in_context": None}))
    pictures = boxed_metaphases(manifest)
    learnt = pictures if plan.roles is None else plan.roles.pick(pictures, roles=[plan.role])
    looked = plan.roles.pick(pictures, roles=[plan.check]) if plan.roles and plan.check else ()
    drawn = boxed_metaphases(plan.drawn)
    listener.started(len(learnt) + len(drawn) + 2 * len(looked))
    read = _of_one_polarity(_measured(learnt, model=alone, listener=listener))
    others = _measured(drawn, model=alone, listener=listener)
    alike = [each for each in others if each.polarity is read[0].polarity]
    reading = _fitted([*read, *alike], roles=(plan.role, *([_DRAWN] if alike else [])))
    calibration = files.calibration.model_copy(update={"in_context": reading})
    aware = replace(alone, calibration=alone.calibration.model_copy(update={"in_context": reading}))
    before, after = (_figures(looked, model=model, listener=listener) for model in (alone, aware))
    write_folder(output, parts=replace(parts_of(files), calibration=calibration))
    return ContextFit(reading=reading, before=before, after=after)


@dataclass(frozen=True, slots=True, eq=False)
class _Measured:
    """The objects of one metaphase that the network was asked about."""

    objects: BoxedObjects
    polarity: Polarity


def _measured(pictures: Sequence[AnnotatedPicture], *, model: Model, listener: Listener) -> list[_Measured]:
    """Each picture that can be read and shows an object."""
    measured: list[_Measured] = []
    for picture in pictures:
        try:
            alone = look_alone(picture.path, model=model)
        except ImageError as error:
            listener.failed(Unreadable(picture.path, error.reason))
        else:
            asked = [each for each in alone.evidence if each is not None]
            if asked:
                objects = BoxedObjects(measure(asked), boxes_owned(alone, picture=picture))
                measured.append(_Measured(objects, alone.polarity))
        listener.advanced(1)
    return measured


def _of_one_polarity(measured: list[_Measured]) -> list[_Measured]:
    """``measured``, which must be some pictures of one stain. Raises ``SupcamError``."""
    n_polarities = len({each.polarity for each in measured})
    if n_polarities != 1:
        raise SupcamError(
            f"metaphases of {n_polarities} polarities",
            expected="bright field, or fluorescence, and not both",
            remedy="take the pictures of one stain",
        )
    return measured


def _fitted(measured: Sequence[_Measured], *, roles: tuple[str, ...]) -> InContext:
    objects = BoxedObjects(
        np.concatenate([each.objects.measures for each in measured]),
        np.concatenate([each.objects.numbers for each in measured]),
    )
    found = fit_in_context(objects)
    return InContext.model_validate(
        {
            "mean": np.round(found.mean, 6).tolist(),
            "scale": np.round(found.scale, 6).tolist(),
            "weights": np.round(found.weights, 5).tolist(),
            "intercepts": np.round(found.intercepts, 5).tolist(),
            "polarity": measured[0].polarity,
            "fitted_on": roles,
            "n_pictures": len(measured),
            "n_objects": len(objects.numbers),
        }
    )


def boxes_owned(alone: Alone, *, picture: AnnotatedPicture) -> np.ndarray:
    """How many boxes each object owns of which there is evidence, in their order."""
    labels = np.zeros(alone.size, np.int64)
    asked = [item for item, known in zip(alone.objects, alone.evidence, strict=True) if known is not None]
    for number, item in enumerate(asked, start=1):
        labels[item.box.slices][item.mask] = number
    owners = box_owners(labels, picture.boxes)
    return np.bincount(owners, minlength=len(asked) + 1)[1:]


def _figures(
    pictures: Sequence[AnnotatedPicture], *, model: Model, listener: Listener
) -> CountFigures | None:
    """Of pictures that cannot be read all chromosomes are missed."""
    errors: list[int] = []
    rows: list[tuple[int, int]] = []
    for picture in pictures:
        try:
            analysis = analyze(picture.path, model=model)
        except ImageError:
            errors.append(len(picture.boxes))
        else:
            errors.append(abs(analysis.count.n - len(picture.boxes)))
            rows += _read_and_owned(analysis, picture=picture)
        listener.advanced(1)
    if not rows:
        return None
    read, owned = np.array(rows).T
    held, clusters = owned > 0, owned > 1
    return CountFigures(
        n_pictures=len(pictures),
        count_error=float(np.mean(errors)),
        precision=float(held.mean()),
        singles_right=float(((read == 1) == (owned == 1))[held].mean()) if held.any() else 0.0,
        numbers_right=float((read == owned)[clusters].mean()) if clusters.any() else 0.0,
    )


def _read_and_owned(analysis: Analysis, *, picture: AnnotatedPicture) -> list[tuple[int, int]]:
    """For every kept object the number that was read, and the boxes that it owns."""
    kept = {item.object_id for item in analysis.kept}
    labels = analysis.labels.astype(np.int64)
    labels[~np.isin(labels, [*kept])] = 0
    owned = np.bincount(box_owners(labels, picture.boxes), minlength=len(analysis.objects) + 1)
    return [(item.n_chromosomes, int(owned[item.object_id])) for item in analysis.kept]
