"""Whole metaphase picture -> typed, counted objects, and what a person must look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.crop import network_input
from supcam.core.reading import read_jointly, read_numbers
from supcam.core.types import Box, ImageError, Polarity, Region
from supcam.pack.bundle import Model, load_model
from supcam.pack.folder import Outputs
from supcam.pack.terms import PriorLike
from supcam.spread.areas import single_area, with_area
from supcam.spread.finding import WRITE_PX, Found, Ground, find_ground, find_objects
from supcam.spread.in_context import Evidence, answers_in_context, read_in_context
from supcam.spread.objects import CROP_RIM_PX, UNFITTED_THRESHOLD, Chances, Judge, SpreadObject, seen_of
from supcam.spread.outline import read_outline
from supcam.spread.picture import Grey, ImageLike, OpenPicture, open_picture, preview
from supcam.spread.result import Analysis, Quality

_MOST_OBJECTS = 65_535


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """An object with the place it has in the picture's order, and the sharpness of its edge.

    ``evidence`` is what is known of it by itself, where it is to be read in context.
    """

    order: tuple[int, ...]
    item: SpreadObject
    sharpness: float | None
    evidence: Evidence | None = None


def analyze(
    image: ImageLike,
    *,
    model: Model | None = None,
    config: ImageConfig | None = None,
    prior: PriorLike | None = None,
    max_error: float | None = None,
) -> Analysis:
    """The objects of a whole metaphase picture, each with type, number, confidence and decision.

    ``image`` is a path, or an array for ``grey_from_array``. ``model`` is the one that the package carries,
    unless given; ``config`` holds limits and polarity for the reader. ``prior`` and ``max_error`` are the
    user's terms, as in ``Model.under``. Every object is listed, those that are
    no chromosome with the reason. Raises ``ImageError`` for a picture that cannot be read or shows nothing
    stained.
    """
    reader = model or _default_model()
    if prior is not None or max_error is not None:
        reader = reader.under(prior=prior, max_error=max_error)
    with open_picture(image, config=config or reader.image) as picture:
        try:
            return _analyze(picture, model=reader, name=_name(image))
        except ImageError as error:
            raise ImageError(
                error.found,
                expected=error.expected,
                remedy=error.remedy,
                where=error.where or ("" if isinstance(image, np.ndarray) else image),
            ) from error


@lru_cache(maxsize=1)
def _default_model() -> Model:
    return load_model(threads=1)


def _name(image: ImageLike) -> str:
    return "picture" if isinstance(image, np.ndarray) else Path(image).name


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """The objects of a picture before any is read in context, with what is known of each by itself.

    There is no evidence of objects whose shape or stain told that they are no chromosome.
    """

    objects: tuple[SpreadObject, ...]
    evidence: tuple[Evidence | None, ...]
    size: tuple[int, int]
    polarity: Polarity


def look_alone(image: ImageLike, *, model: Model) -> Alone:
    """What a reading in context is fitted on. Raises ``ImageError`` as ``analyze`` does."""
    with open_picture(image, config=model.image) as picture:
        ground = find_ground(picture, config=model.card.foreground)
        judged = _judge_all(picture, ground=ground, model=model, in_context=True)
        return Alone(
            objects=tuple(replace(each.item, object_id=n) for n, each in enumerate(judged, start=1)),
            evidence=tuple(each.evidence for each in judged),
            size=picture.size,
            polarity=picture.polarity,
        )


def _analyze(picture: OpenPicture, *, model: Model, name: str, write_px: int = WRITE_PX) -> Analysis:
    ground = find_ground(picture, config=model.card.foreground)
    context = model.calibration.in_context
    in_context = context is not None and context.polarity is picture.polarity
    judged = _judge_all(picture, ground=ground, model=model, in_context=in_context, write_px=write_px)
    objects = _counted(judged, width_px=ground.levels.width_px, model=model, in_context=in_context)
    shown, scale = preview(picture)
    sharpness = [
        each.sharpness
        for each, item in zip(judged, objects, strict=True)
        if each.sharpness is not None and item.is_kept
    ]
    return Analysis(
        name=name,
        size=picture.size,
        objects=objects,
        preview=shown,
        preview_scale=scale,
        polarity=picture.polarity,
        quality=Quality(
            width_px=ground.levels.width_px,
            contrast=ground.levels.typical_stain,
            focus=float(np.median(sharpness)) if sharpness else 0.0,
        ),
        model=f"{model.card.name} {model.card.version}",
        notes=picture.notes,
        pixel_size=picture.pixel_size,
        in_context=in_context,
    )


def _judge_all(
    picture: OpenPicture, *, ground: Ground, model: Model, in_context: bool, write_px: int = WRITE_PX
) -> list[_Judged]:
    """What is said of each object by itself, in the picture's order.

    The network rejects none that is to be read in context.
    """
    fitted = model.calibration.chromosome_threshold
    judge = Judge(
        size=picture.size,
        width_px=ground.levels.width_px,
        threshold=0.0 if in_context else UNFITTED_THRESHOLD if fitted is None else fitted,
        polarity=picture.polarity,
    )
    judged: list[_Judged] = []
    for found in find_objects(picture, ground=ground, config=model.card.foreground, write_px=write_px):
        judged += _judge_area(found, picture=picture, judge=judge, model=model, in_context=in_context)
    if len(judged) > _MOST_OBJECTS:
        raise ImageError(
            f"{len(judged)} objects",
            expected=f"at most {_MOST_OBJECTS}, the numbers of a 16-bit label picture",
            remedy="cut the picture, or set a larger min_area_px",
        )
    judged.sort(key=lambda each: each.order)
    return judged


def _counted(
    judged: Sequence[_Judged], *, width_px: float, model: Model, in_context: bool
) -> tuple[SpreadObject, ...]:
    """The objects numbered from 1 and read in their picture: in context, else by their area as well.

    Without a number head they are as they were.
    """
    numbered = [replace(each.item, object_id=n) for n, each in enumerate(judged, start=1)]
    if in_context:
        return tuple(read_in_context(numbered, evidence=[each.evidence for each in judged], model=model))
    if not model.card.heads_trained.count:
        return tuple(numbered)
    single_px = single_area(numbered, width_px=width_px)
    most = max((len(item.number_chances) - 1 for item in numbered if item.is_kept), default=1)
    return tuple(with_area(item, single_px=single_px, most_chromosomes=most) for item in numbered)


def _judge_area(
    found: Sequence[Found], *, picture: OpenPicture, judge: Judge, model: Model, in_context: bool
) -> list[_Judged]:
    """What is said of the objects of one area; the model reads them in one batch."""
    judged: list[_Judged] = []
    asked: list[tuple[Found, Region]] = []
    for each in found:
        reason = judge.by_shape(each)
        if reason is not None:
            judged.append(_Judged(_order(each), judge.rejected(each, reason=reason), None))
        elif each.region is not None:
            asked.append((each, each.region))
    if not asked:
        return judged
    squares = np.stack([network_input(region, config=model.card.crop) for _, region in asked])
    pictures = squares[:, None]
    outputs = answers_in_context(pictures, model=model) if in_context else model.answers(pictures)
    predictions = model.read_crops(outputs)  # what is rejected, and why, is the judge's to say
    predictions = model.measured(predictions, squares=list(squares))
    chances = number_chances(outputs, counts=[p.n_chromosomes for p in predictions], model=model)
    known: list[Evidence] | list[None] = [None] * len(asked)
    if in_context:
        known = evidence_of(outputs, found=[each for each, _ in asked], judge=judge, model=model)
    for n, ((each, region), prediction) in enumerate(zip(asked, predictions, strict=True)):
        item = judge.judged(each, prediction=prediction, chances=chances[n])
        seen = seen_of(outputs.of(n), region=region, box=each.box, config=model.card.crop)
        item = replace(item, crop=_crop(each.box, picture=picture), seen=seen)
        judged.append(_Judged(_order(each), item, _sharpness(region), evidence=known[n]))
    return judged


def _order(found: Found) -> tuple[int, ...]:
    return (*found.first, found.box.top, found.box.left, found.area_px)


def evidence_of(outputs: Outputs, *, found: Sequence[Found], judge: Judge, model: Model) -> list[Evidence]:
    """What is known of each object by itself: ``outputs`` are the network's, row by row."""
    came, width_px = model.came, judge.width_px
    ratio = None if came.prior is None else np.array(came.prior)
    logits = outputs.type_logits, outputs.count_logits
    joint = read_jointly(*logits, temperature=came.temperature, prior_ratio=ratio)
    numbers = read_numbers(*logits, temperature=came.temperature, prior_ratio=ratio)
    chromosome = 1 / (1 + np.exp(-outputs.chromosome_logit[:, 0].astype(np.float64)))
    return [
        Evidence(
            types=joint.type_probabilities[n],
            numbers=numbers[n],
            chromosome=float(chromosome[n]),
            outline=read_outline(each.mask, box=each.box, size=judge.size, width_px=width_px),
            area=each.area_px / width_px**2,
            sides=(each.box.height / width_px, each.box.width / width_px),
        )
        for n, each in enumerate(found)
    ]


def number_chances(outputs: Outputs, *, counts: Sequence[int], model: Model) -> list[Chances]:
    """The chances of 1, 2, ... chromosomes; without a number head the number that was read is certain."""
    if not model.card.heads_trained.count:
        return [np.eye(count)[count - 1] for count in counts]
    prior = model.calibration.prior
    chances = read_numbers(
        outputs.type_logits,
        outputs.count_logits,
        temperature=model.calibration.temperature,
        prior_ratio=None if prior is None else np.array(prior),
    )
    return [np.asarray(row) for row in chances]


def _crop(box: Box, *, picture: OpenPicture) -> Grey:
    return picture.grey(box.grown(CROP_RIM_PX, within=picture.size)).copy()


def _sharpness(region: Region) -> float:
    """The steepest rise of stain along an object's edge, over two pixels, as a share of its stain."""
    kernel = np.ones((3, 3), np.uint8)
    jump = cv2.dilate(region.stain, kernel) - cv2.erode(region.stain, kernel)
    edge = region.mask & (cv2.erode(region.mask.astype(np.uint8), kernel) == 0)
    level = float(np.median(region.stain[region.mask]))
    return float(np.median(jump[edge])) / max(level, 1e-6)
