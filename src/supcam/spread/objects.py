"""What is said about each object: kept or rejected, type, number, and what a person must check."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from jaxtyping import Float32, Float64

from supcam.core.config import CropConfig
from supcam.core.crop import placement
from supcam.core.foreground import mask_box
from supcam.core.types import Box, Clutter, Decision, Mask, Polarity, Prediction, Region
from supcam.pack.folder import Outputs
from supcam.spread.finding import Found
from supcam.spread.outline import read_outline
from supcam.spread.picture import Grey

REJECTED = "rejected"
UNFITTED_THRESHOLD = 0.5
"""Chromosome probability below which an object is rejected when the model has no threshold of its own."""
_LEAST_AREA = 0.7
"""Objects below this share of a squared chromosome width are specks: no single chromosome of the selection
role is below 1.0."""
_LEAST_STAIN = 0.5
"""Objects fainter than this share of a chromosome's stain are haze: none of the selection role's is."""
_MOST_STAIN = 1.5
"""Objects darker than this multiple of a chromosome's stain are blots: two of the 7,000 objects with
chromosomes of the training role are, and no heap of virtual laboratories. In fluorescence chromosomes
differ more from each other: there it is not asked."""
_BRIGHT_THRESHOLD = 0.05
"""In fluorescence nothing is rejected by the network from this chromosome probability on. What is no
chromosome it learnt in bright field: all 48 objects of ``adir:select`` between this and its threshold are
some."""
_LEAST_THICKNESS = 0.6
"""Objects that are nowhere as thick as this share of a width are threads: no chromosome of either role is."""
_MOST_RAGGED = 1.6
"""Outlines longer than this multiple of a ribbon's are dirt: 7 of the training role's 7,000 objects with
chromosomes have such."""
_SLICE_CHORD, _SLICE_SOLIDITY, _SLICE_FILL = 1.6, 0.9, 0.85
"""What the border cuts along more than so many widths, with no dent and narrowing inwards, is a slice of a
nucleus: none of the chromosomes of either role is. One that lies along the border fills its box."""

_NEAR = 2.0
CROP_RIM_PX = 14
"""Background kept around the picture of a single object."""

Chances = Float64[np.ndarray, " _"]


class Reason(StrEnum):
    """Why an object is rejected, or why a person must look at it; in words, for every table and page."""

    NUCLEUS = "nucleus or blot: far thicker than a chromosome"
    MARK = "letters, a scale bar or an arrow"
    SPECK = "speck: smaller than any chromosome"
    FAINT = "haze: much fainter than the chromosomes"
    DARK = "blot: much darker than the chromosomes"
    THREAD = "thread: nowhere as thick as a chromosome"
    RAGGED = "dirt: far more ragged than a chromosome"
    SLICE = "slice of a nucleus that the border cuts"
    TOO_LARGE = "larger than any cluster that can be read"
    NO_CHROMOSOME = "the model sees no chromosome"
    NEARLY_REJECTED = "it may be no chromosome"
    NEARLY_KEPT = "rejected, but it may be a chromosome"
    UNSURE_TYPE = "the type is not sure"
    UNFAMILIAR = "it looks unlike the chromosomes that the model knows"
    CUT = "cut by the border of the picture"
    UNSURE_NUMBER = "the number of chromosomes is not sure"
    MOST = "more chromosomes than the model can count"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What the network made of an object on the way to its answer.

    ``type_map`` says where it looked, type by type, over the square whose corner lies at row ``top_px`` and
    column ``left_px`` of the picture, ``side_px`` long; parts of it may lie outside the picture.
    """

    embedding: Float32[np.ndarray, " dim"]
    type_map: Float32[np.ndarray, "4 rows columns"]
    top_px: float
    left_px: float
    side_px: float


def seen_of(outputs: Outputs, *, region: Region, box: Box, config: CropConfig) -> Seen:
    """What the network made of ``region``, alone in ``outputs``; ``box`` is the object's in the picture."""
    matrix = placement(region, config=config)
    scale = float(matrix[0, 0])
    within = mask_box(region.mask)
    return Seen(
        embedding=outputs.embedding[0].copy(),
        type_map=outputs.type_map[0].copy(),
        top_px=box.top - within.top - float(matrix[1, 2]) / scale,
        left_px=box.left - within.left - float(matrix[0, 2]) / scale,
        side_px=config.size_px / scale,
    )


@dataclass(frozen=True, slots=True, eq=False)
class SpreadObject:
    """One object of a picture.

    ``object_id`` is its number, from 1, and its pixels' value in the label picture. ``mask`` lies within
    ``box``. ``prediction`` is what the model reads; ``None`` when its shape or stain told that it is no
    chromosome, and the model was not asked. ``rejection`` says why it is rejected, ``doubts`` why a person
    must look at it. ``number_chances`` are the probabilities of 0, 1, 2 ... chromosomes. Those that the
    model was asked about have a ``crop``, the grey picture around them, and ``seen``, what the network made
    of them.
    """

    object_id: int
    box: Box
    mask: Mask
    area_px: int
    prediction: Prediction | None
    rejection: Reason | None
    doubts: tuple[Reason, ...]
    number_chances: Chances
    crop: Grey | None = None
    seen: Seen | None = None

    @property
    def type(self) -> str:
        """The type's label, or ``rejected``."""
        if self.prediction is None or self.rejection is not None:
            return REJECTED
        return self.prediction.type

    @property
    def crop_start(self) -> tuple[int, int]:
        """Row and column of the box's first pixel within ``crop``."""
        return min(CROP_RIM_PX, self.box.top), min(CROP_RIM_PX, self.box.left)

    @property
    def is_kept(self) -> bool:
        """Whether it is taken for one or several chromosomes."""
        return self.rejection is None

    @property
    def n_chromosomes(self) -> int:
        """Its number of chromosomes; 0 when it is rejected."""
        return self.prediction.n_chromosomes if self.prediction and self.is_kept else 0

    @property
    def decision(self) -> Decision:
        """Review, when there is any doubt."""
        return Decision.REVIEW if self.doubts else Decision.ACCEPT


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules of one model: below the chromosome probability ``threshold`` objects are rejected.

    ``size`` is that of the picture, (height, width); ``width_px`` the width of its chromosomes. In
    fluorescence an object is kept down to ``lowest``; below ``threshold`` a person is asked.
    """

    size: tuple[int, int]
    width_px: float
    threshold: float
    polarity: Polarity = Polarity.BRIGHT_FIELD

    @property
    def lowest(self) -> float:
        """The chromosome probability below which an object is rejected in a picture of this polarity."""
        is_bright = self.polarity is Polarity.FLUORESCENCE
        return min(self.threshold, _BRIGHT_THRESHOLD) if is_bright else self.threshold

    def by_shape(self, found: Found) -> Reason | None:
        """Why an object is no chromosome, as far as shape and stain tell it."""
        if found.is_too_large:
            return Reason.TOO_LARGE
        if found.clutter is Clutter.NUCLEUS:
            return Reason.NUCLEUS
        if found.clutter is Clutter.MARK:
            return Reason.MARK
        if found.area_px < _LEAST_AREA * self.width_px**2:
            return Reason.SPECK
        if found.stain_share < _LEAST_STAIN:
            return Reason.FAINT
        is_dark = found.stain_share > _MOST_STAIN and self.polarity is Polarity.BRIGHT_FIELD
        return Reason.DARK if is_dark else self._by_outline(found)

    def _by_outline(self, found: Found) -> Reason | None:
        outline = read_outline(found.mask, box=found.box, size=self.size, width_px=self.width_px)
        if outline.thickness < _LEAST_THICKNESS:
            return Reason.THREAD
        is_round = outline.solidity > _SLICE_SOLIDITY and outline.fill < _SLICE_FILL
        if is_round and outline.chord > _SLICE_CHORD:
            return Reason.SLICE
        return Reason.RAGGED if outline.raggedness > _MOST_RAGGED else None

    def rejected(self, found: Found, *, reason: Reason) -> SpreadObject:
        """An object that the model is not asked about."""
        return _object(found, prediction=None, rejection=reason, chances=np.array([1.0]))

    def judged(self, found: Found, *, prediction: Prediction, chances: Chances) -> SpreadObject:
        """An object that the model has read; ``chances`` are those of 1, 2, ... chromosomes."""
        chance = prediction.chromosome_probability
        if chance is not None and chance < self.lowest:
            doubts = (Reason.NEARLY_KEPT,) if is_near(chance, limit=self.lowest) else ()
            none = _object(
                found, prediction=prediction, rejection=Reason.NO_CHROMOSOME, chances=np.array([1.0])
            )
            return replace(none, doubts=doubts)
        kept = _object(found, prediction=prediction, rejection=None, chances=np.concatenate([[0.0], chances]))
        return replace(kept, doubts=self._doubts(found, prediction=prediction))

    def _doubts(self, found: Found, *, prediction: Prediction) -> tuple[Reason, ...]:
        chance = prediction.chromosome_probability
        doubts = {
            Reason.UNSURE_TYPE: prediction.decision is Decision.REVIEW,
            Reason.NEARLY_REJECTED: chance is not None
            and (chance < self.threshold or is_near(chance, limit=self.lowest)),
            Reason.UNFAMILIAR: (prediction.unfamiliarity or 0.0) > 1,
            Reason.CUT: found.is_cut,
        }
        return tuple(reason for reason, holds in doubts.items() if holds)


def is_near(chance: float, *, limit: float) -> bool:
    """Whether a chromosome probability lies within a factor ``_NEAR`` of the limit, in odds."""
    odds, at = (share / max(1e-9, 1 - share) for share in (chance, limit))
    return at / _NEAR <= odds <= at * _NEAR


def _object(
    found: Found, *, prediction: Prediction | None, rejection: Reason | None, chances: Chances
) -> SpreadObject:
    return SpreadObject(
        object_id=0,
        box=found.box,
        mask=found.mask,
        area_px=found.area_px,
        prediction=prediction,
        rejection=rejection,
        doubts=(),
        number_chances=chances.astype(np.float64),
    )
