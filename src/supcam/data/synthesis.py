"""Drawn chromosomes -> drawn clusters and metaphases with every label known.

For tests, examples and probes: bent, banded, blurred bodies of random length. Everything random comes from
the ``rng`` that is passed: the same seed draws the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from jaxtyping import Bool, UInt8, UInt16
from pydantic import AfterValidator, Field, model_validator

from supcam.core.config import ForegroundConfig, StageConfig
from supcam.core.types import ClusterType, CompositionError, Mask, Polarity, Stain
from supcam.data.arrangement import arrange, is_one_component
from supcam.data.camera import slow_waves, soft_noise
from supcam.data.clutter import draw_debris, draw_nucleus
from supcam.data.composition import relation_plan
from supcam.data.drawing import DrawnChromosome, Preparation, Sketch, ink, sketch_chromosome
from supcam.data.joining import Closeness, Laid, added_stains, stacked_masks
from supcam.data.slide import DrawnObject, Element, ObjectKind, Slide

GreyPicture = UInt8[np.ndarray, "height width"]

_DRAWS = 12
_MARGIN = 1.3
"""The typical stain of a whole picture exceeds that of a cluster in it by less than this factor."""


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= values[0] <= values[1]:
        raise ValueError("expected two numbers that are not negative, the smaller one first")
    return values


def _shares(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values, default=0) < 0 or sum(values) <= 0:
        raise ValueError("expected shares that are not negative, at least one of them above 0")
    return values


Between = Annotated[tuple[float, float], AfterValidator(_rising)]
Counts = Annotated[tuple[int, int], AfterValidator(_rising)]
Shares = Annotated[tuple[float, ...], AfterValidator(_shares)]


class SynthesisConfig(StageConfig):
    """How drawn chromosomes look, how they meet, and what a drawn metaphase holds. All values are our choice.

    Pairs of numbers are ranges; one value of each is drawn for all chromosomes of a picture, except lengths.
    """

    width_px: Between = Field((14.0, 18.0), description="Chromosome width, away from waist and ends.")
    length_px: Between = Field((30.0, 140.0), description="Chromosome length; short ones are more frequent.")
    stain_level: Between = Field((0.50, 0.80), description="Stain of a dark band.")
    band_contrast: Between = Field((0.45, 0.75), description="How much lighter light bands are, as a share.")
    chromatid_split: Between = Field((0.15, 0.70), description="How clearly two chromatids show, 0 to 1.")
    blur_px: Between = Field((0.9, 1.4), description="Standard deviation of the microscope's blur.")
    bend_rad: float = Field(1.3, ge=0, le=4, description="Usual turn of a long chromosome from end to end.")
    roughness: Between = Field(
        (0.01, 0.035), description="How ragged outlines and bands are, share of width."
    )
    max_gap_px: float = Field(1.0, ge=0, le=6, description="Widest gap between touching bodies.")
    touch_depth: float = Field(
        0.15,
        ge=0,
        le=0.25,
        description="Touching bodies reach into each other by at most this share of a width.",
    )
    overlap_depth: float = Field(
        0.5,
        ge=0.4,
        le=0.5,
        description="Overlapping bodies reach in by this share of a width; 0.5: its middle.",
    )
    added_stain: Between = Field(
        (0.45, 0.95), description="Share of the weaker stain that adds in an overlap."
    )
    picture_px: tuple[int, int] = Field((700, 700), description="Height and width of a metaphase.")
    n_chromosomes: int = Field(46, ge=1, le=200, description="Chromosomes of a metaphase.")
    type_shares: Annotated[tuple[float, float, float, float], AfterValidator(_shares)] = Field(
        (0.74, 0.12, 0.09, 0.05),
        description="Shares of a metaphase's objects: instance, touching, overlapping, touching-overlapping.",
    )
    group_shares: Shares = Field(
        (0.7, 0.2, 0.1), description="Shares of clusters of 2, 3, 4 ... chromosomes."
    )
    n_nuclei: Counts = Field((0, 2), description="Fewest and most nuclei of a metaphase.")
    n_debris: Counts = Field((4, 14), description="Fewest and most specks of debris.")
    clearance_px: int = Field(9, ge=4, le=60, description="Least distance between objects of a metaphase.")
    polarity: Polarity = Field(Polarity.BRIGHT_FIELD, description="Dark on bright, or bright on dark.")
    unevenness: float = Field(0.03, ge=0, le=0.5, description="How much the illumination varies, as a share.")
    noise_grey: Between = Field((0.8, 2.2), description="Standard deviation of the camera's noise.")

    @model_validator(mode="after")
    def _bodies_can_be_drawn(self) -> Self:
        if self.width_px[0] < 4 or self.length_px[0] < self.width_px[1]:
            raise ValueError("chromosomes must be at least 4 pixels wide and no shorter than wide")
        if max(self.added_stain + self.chromatid_split + self.band_contrast) > 1:
            raise ValueError("added_stain, chromatid_split and band_contrast are shares of at most 1")
        if min(self.picture_px) < 32:
            raise ValueError("a metaphase is at least 32 pixels high and wide")
        return self


DEFAULT = SynthesisConfig()


@dataclass(frozen=True, slots=True, eq=False)
class DrawnCluster:
    """Chromosomes in a known relation; ``masks`` are their bodies on the canvas of ``stain``."""

    stain: Stain
    masks: Bool[np.ndarray, "n_chromosomes height width"]
    type: ClusterType
    n_chromosomes: int
    width_px: float

    @property
    def mask(self) -> Mask:
        """The union of all bodies."""
        return np.asarray(self.masks.any(axis=0))


@dataclass(frozen=True, slots=True, eq=False)
class DrawnMetaphase:
    """A metaphase with everything known.

    ``grey`` is the camera's picture of ``stain``. A pixel of ``labels`` is 0 or k + 1 for ``objects[k]``,
    which has its type, count, box and one mask a chromosome; nuclei and debris are objects without a type.
    """

    grey: GreyPicture
    stain: Stain
    labels: UInt16[np.ndarray, "height width"]
    objects: tuple[DrawnObject, ...]
    width_px: float

    @property
    def n_chromosomes(self) -> int:
        """Chromosomes in all objects."""
        return sum(one.n_chromosomes for one in self.objects)


def draw_preparation(rng: np.random.Generator, *, config: SynthesisConfig = DEFAULT) -> Preparation:
    """A slide as ``config`` allows: width, stain, contrast and blur for all chromosomes on it."""
    return Preparation(
        width_px=rng.uniform(*config.width_px),
        stain_level=rng.uniform(*config.stain_level),
        band_contrast=rng.uniform(*config.band_contrast),
        chromatid_split=rng.uniform(*config.chromatid_split),
        blur_px=rng.uniform(*config.blur_px),
        bend_rad=config.bend_rad,
        roughness=rng.uniform(*config.roughness),
    )


def draw_chromosome(
    rng: np.random.Generator,
    *,
    config: SynthesisConfig = DEFAULT,
    preparation: Preparation | None = None,
) -> DrawnChromosome:
    """One chromosome; on the slide ``preparation``, or on one of its own."""
    shared = preparation or draw_preparation(rng, config=config)
    return ink(sketch_chromosome(rng, preparation=shared, length_px=_length(rng, config)), rng=rng)


def draw_cluster(
    rng: np.random.Generator,
    *,
    type: ClusterType,  # noqa: A002 - the word that every table uses
    n_chromosomes: int,
    config: SynthesisConfig = DEFAULT,
    preparation: Preparation | None = None,
) -> DrawnCluster:
    """``n_chromosomes`` bodies in the relation ``type``, one component at the contact level.

    A touching-overlapping cluster has at least one contact of either kind, hence three chromosomes or more.
    Raises ``CompositionError`` for a type and count that contradict each other, and when bodies of the
    lengths and widths of ``config`` found no such arrangement.
    """
    shared = preparation or draw_preparation(rng, config=config)
    for _ in range(_DRAWS):
        laid = _arranged(
            rng, relations=relation_plan(type, n_chromosomes, rng=rng), config=config, preparation=shared
        )
        if laid is None:
            continue
        cluster = DrawnCluster(
            stain=added_stains(laid, share=rng.uniform(*config.added_stain)),
            masks=stacked_masks(laid),
            type=type,
            n_chromosomes=n_chromosomes,
            width_px=float(np.median([one.drawn.width_px for one in laid])),
        )
        if is_one_component(cluster.stain, reserve=_reserve()):
            return cluster
    raise CompositionError(
        f"no {type.label} cluster of {n_chromosomes} in {_DRAWS} draws",
        expected="bodies that can lie so without a further contact",
        remedy="ask for fewer or longer chromosomes, or try another seed",
    )


def draw_metaphase(rng: np.random.Generator, *, config: SynthesisConfig = DEFAULT) -> DrawnMetaphase:
    """A whole metaphase: ``config.n_chromosomes`` in single ones and clusters, with nuclei and debris.

    No two objects meet. Raises ``CompositionError`` when the picture is too small for them.
    """
    preparation = draw_preparation(rng, config=config)
    elements = _clusters(rng, config=config, preparation=preparation)
    elements += _clutter(rng, config=config, preparation=preparation)
    slide = Slide(config.picture_px, clearance_px=config.clearance_px)
    for element in sorted(elements, key=lambda one: one.stain.size, reverse=True):
        slide.lay(element, rng=rng)
    return DrawnMetaphase(
        grey=to_grey(slide.stain, rng=rng, config=config),
        stain=slide.stain,
        labels=slide.labels(),
        objects=tuple(slide.objects),
        width_px=preparation.width_px,
    )


def to_grey(stain: Stain, *, rng: np.random.Generator, config: SynthesisConfig = DEFAULT) -> GreyPicture:
    """The 8-bit picture that a camera takes of ``stain``: illumination, background, noise, rounding.

    Bright field: I0 * 10^-stain with I0 from 225 to 248. Fluorescence: proportional to stain over a dark
    background, a dark band at about 170.
    """
    light = 1 + config.unevenness * slow_waves(rng, shape=stain.shape)
    if config.polarity is Polarity.BRIGHT_FIELD:
        exact = rng.uniform(225, 248) * light * np.exp(-np.log(10) * stain)
    else:
        exact = rng.uniform(8, 25) + 170 / config.stain_level[1] * light * stain
    noise = soft_noise(rng, shape=stain.shape)
    return np.asarray(np.clip(np.rint(exact + rng.uniform(*config.noise_grey) * noise), 0, 255), np.uint8)


def _length(rng: np.random.Generator, config: SynthesisConfig) -> float:
    """Short ones more often than long ones: evenly drawn on a logarithmic scale."""
    low, high = np.log(config.length_px)
    return float(np.exp(rng.uniform(low, high)))


def _reserve() -> float:
    """How far above the segmentation threshold a cluster hangs together: where contact is read, and more."""
    levels = ForegroundConfig()
    return _MARGIN * levels.contact_level / levels.segmentation_level


def _arranged(
    rng: np.random.Generator,
    *,
    relations: Sequence[ClusterType],
    config: SynthesisConfig,
    preparation: Preparation,
) -> list[Laid] | None:
    """One chromosome more than ``relations``, each joined to those before it; None if one found no place."""

    def sketcher(rng: np.random.Generator) -> Sketch:
        return sketch_chromosome(rng, preparation=preparation, length_px=_length(rng, config))

    closeness = Closeness(config.max_gap_px, config.touch_depth, config.overlap_depth)
    sketchers = [sketcher] * (len(relations) + 1)
    return arrange(rng, sketchers=sketchers, relations=relations, closeness=closeness)


def _clusters(
    rng: np.random.Generator, *, config: SynthesisConfig, preparation: Preparation
) -> list[Element]:
    """Single chromosomes and clusters that hold ``config.n_chromosomes`` in all."""
    elements: list[Element] = []
    left = config.n_chromosomes
    while left:
        kind, n = _kind_and_count(rng, config=config)
        if n > left:
            kind, n = ClusterType.INSTANCE, 1
        cluster = draw_cluster(rng, type=kind, n_chromosomes=n, config=config, preparation=preparation)
        elements.append(Element(ObjectKind.CHROMOSOMES, cluster.stain, cluster.masks, type=kind))
        left -= n
    return elements


def _kind_and_count(rng: np.random.Generator, *, config: SynthesisConfig) -> tuple[ClusterType, int]:
    kind = ClusterType(_drawn_index(rng, config.type_shares))
    if kind is ClusterType.INSTANCE:
        return kind, 1
    least = 3 if kind is ClusterType.TOUCHING_OVERLAPPING else 2
    return kind, max(least, 2 + _drawn_index(rng, config.group_shares))


def _drawn_index(rng: np.random.Generator, shares: Sequence[float]) -> int:
    chances = np.asarray(shares) / sum(shares)
    return int(rng.choice(len(chances), p=chances))


def _clutter(rng: np.random.Generator, *, config: SynthesisConfig, preparation: Preparation) -> list[Element]:
    """Nuclei and debris, in the stain of the chromosomes around them."""
    width, level = preparation.width_px, preparation.stain_level
    elements = []
    for _ in range(int(rng.integers(config.n_nuclei[0], config.n_nuclei[1] + 1))):
        size = width * rng.uniform(7, 13)
        drawn = draw_nucleus(rng, diameter_px=size, stain_level=level * rng.uniform(0.6, 0.9))
        elements.append(Element(ObjectKind.NUCLEUS, drawn.stain, drawn.mask[None]))
    for _ in range(int(rng.integers(config.n_debris[0], config.n_debris[1] + 1))):
        size = width * rng.uniform(0.4, 1.2)
        drawn = draw_debris(rng, size_px=size, stain_level=level * rng.uniform(0.6, 1.4))
        elements.append(Element(ObjectKind.DEBRIS, drawn.stain, drawn.mask[None]))
    return elements
