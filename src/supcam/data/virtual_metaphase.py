"""A metaphase of a known karyotype, as a virtual laboratory would see it, with everything known.

Everything random comes from the ``rng`` that is passed: the same seed draws the same picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import numpy as np
from jaxtyping import UInt8, UInt16
from pydantic import AfterValidator, Field

from supcam.core.config import ForegroundConfig, ImageConfig, StageConfig
from supcam.core.foreground import Levels, find_foreground, typical_stain
from supcam.core.image import grey_from_array, polarity_in, to_stain
from supcam.core.types import ClusterType, CompositionError, ConfigError, ImageError
from supcam.data.arrangement import arrange, cores_of, is_one_object, type_of
from supcam.data.camera import expose, to_8_bit, to_16_bit
from supcam.data.clutter import DrawnClutter, draw_debris, draw_fibre, draw_nucleus
from supcam.data.composition import relation_plan
from supcam.data.drawing import ink
from supcam.data.joining import Closeness, added_stains, stacked_masks
from supcam.data.karyotype import parse_karyotype
from supcam.data.laboratory import Laboratory, PictureSize, VirtualSlide, draw_slide
from supcam.data.recovery import Found, find_again
from supcam.data.slide import DrawnObject, Element, ObjectKind, Slide
from supcam.data.synthesis import Counts, Shares
from supcam.data.typed_sketch import sketch_type

Contact = Literal["instance", "touching", "overlapping", "touching_overlapping", "heap"]
"""What a chromosome lies in; a heap is a large touching-overlapping cluster."""
Pixels = UInt8[np.ndarray, "height width"] | UInt16[np.ndarray, "height width"]
Labels = UInt16[np.ndarray, "height width"]

_DRAWS = 40
_DRAWS_OF_ONE = 5
_USUAL_TYPES = ("2", "5", "7", "11", "14", "18", "X")
"""Chromosomes by which the typical stain of a slide is told."""
_CORE_CLOSENESS = Closeness(max_gap_px=4.0, touch_depth=0.25, overlap_depth=0.5)
"""What ``docs/method.md`` calls touching and overlapping, read on core masks at the final resolution."""
_FIBRE_SHARE = 0.25


def _formula(text: str) -> str:
    try:
        return parse_karyotype(text).formula if text else text
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _contact_shares(shares: dict[Contact, float]) -> dict[Contact, float]:
    if min(shares.values(), default=0) < 0 or sum(shares.values()) <= 0:
        raise ValueError("expected shares that are not negative, at least one of them above 0")
    return shares


def _heaps(size: tuple[int, int]) -> tuple[int, int]:
    if size[0] < 3:
        raise ValueError("expected heaps of at least 3 chromosomes")
    return size


class MetaphasePlan(StageConfig):
    """What a virtual metaphase holds and how its chromosomes meet. All values are our choice."""

    karyotype: Annotated[str, AfterValidator(_formula)] = Field(
        "", description="A formula such as 47,XY,+21; empty: 46,XX or 46,XY, each as often."
    )
    contact_shares: Annotated[dict[Contact, float], AfterValidator(_contact_shares)] = Field(
        {"instance": 0.56, "touching": 0.19, "overlapping": 0.13, "touching_overlapping": 0.12},
        description="Shares of the chromosomes that lie alone, in clusters of each type, and in heaps.",
    )
    group_shares: Shares = Field(
        (0.7, 0.2, 0.1), min_length=1, description="Shares of clusters of 2, 3, 4 ... chromosomes."
    )
    heap_size: Annotated[Counts, AfterValidator(_heaps)] = Field(
        (6, 10), description="Fewest and most chromosomes of a heap."
    )
    max_gap_px: float = Field(1.0, ge=0, le=6, description="Widest gap between touching bodies.")
    touch_depth: float = Field(
        0.15, ge=0, le=0.25, description="Touching bodies reach in by at most this share of a width."
    )
    overlap_depth: float = Field(
        0.5, ge=0.4, le=0.5, description="Overlapping bodies reach in by this share; 0.5: to the middle."
    )
    n_nuclei: Counts = Field((0, 3), description="Fewest and most nuclei.")
    n_debris: Counts = Field((2, 14), description="Fewest and most specks and fibres of debris.")
    picture_px: PictureSize | None = Field(None, description="Height and width; None: the laboratory's.")
    bit_depth: Literal[8, 16] = Field(8, description="Bits of a grey value.")


@dataclass(frozen=True, slots=True, eq=False)
class VirtualMetaphase:
    """A picture with everything known.

    ``objects`` have types, counts, boxes, one mask a chromosome and the chromosomes' names; nuclei and debris
    are objects without type. A pixel of ``labels`` is k + 1 for ``objects[k]``, else 0; ``found[k]`` tells
    whether the foreground of this very picture shows it as one object.
    """

    pixels: Pixels
    labels: Labels
    objects: tuple[DrawnObject, ...]
    found: tuple[Found, ...]
    karyotype: str
    laboratory: str
    width_px: float

    @property
    def n_chromosomes(self) -> int:
        """Chromosomes in all objects."""
        return sum(one.n_chromosomes for one in self.objects)


def draw_virtual_metaphase(
    rng: np.random.Generator, *, laboratory: Laboratory, plan: MetaphasePlan
) -> VirtualMetaphase:
    """One metaphase as ``plan`` asks for, in the manner of ``laboratory``; no two objects meet.

    Raises ``CompositionError`` when the picture is too small for it.
    """
    karyotype = parse_karyotype(plan.karyotype or str(rng.choice(["46,XX", "46,XY"])))
    look = draw_slide(rng, laboratory=laboratory)
    levels = _levels(rng, look=look)
    elements = [
        _cluster(rng, group=group, look=look, levels=levels, plan=plan)
        for group in _groups(rng, chromosomes=karyotype.chromosomes, plan=plan)
    ]
    elements += _clutter(rng, look=look, plan=plan)
    slide = Slide(plan.picture_px or laboratory.picture_px, clearance_px=_clearance_px(look))
    for element in sorted(elements, key=lambda one: one.stain.size, reverse=True):
        slide.lay(element, rng=rng)
    pixels = _photographed(rng, slide=slide, laboratory=laboratory, look=look, bit_depth=plan.bit_depth)
    labels = slide.labels()
    return VirtualMetaphase(
        pixels=pixels,
        labels=labels,
        objects=tuple(slide.objects),
        found=_found_again(pixels, labels, n_objects=len(slide.objects)),
        karyotype=karyotype.formula,
        laboratory=laboratory.name,
        width_px=look.preparation.width_px,
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Chromosomes that lie together."""

    contact: Contact
    chromosomes: tuple[str, ...]

    @property
    def type(self) -> ClusterType:
        """The type that the cluster is to have."""
        is_heap = self.contact == "heap"
        return ClusterType.TOUCHING_OVERLAPPING if is_heap else ClusterType.from_label(self.contact)


def _groups(
    rng: np.random.Generator, *, chromosomes: tuple[str, ...], plan: MetaphasePlan
) -> Iterator[_Group]:
    """All ``chromosomes``, shuffled, in groups whose chromosomes have about the shares of the plan."""
    left = [chromosomes[index] for index in rng.permutation(len(chromosomes))]
    kinds = [*plan.contact_shares]
    usual = np.array([_usual_size(kind, plan=plan) for kind in kinds])
    chances = np.array([*plan.contact_shares.values()]) / usual
    while left:
        kind = kinds[int(rng.choice(len(kinds), p=chances / chances.sum()))]
        n = min(_size(rng, kind=kind, plan=plan), len(left))
        if n < _least(kind, plan=plan):
            kind, n = "instance", 1
        yield _Group(kind, tuple(left[:n]))
        del left[:n]


def _size(rng: np.random.Generator, *, kind: Contact, plan: MetaphasePlan) -> int:
    """How many chromosomes lie together in a group of this kind."""
    if kind == "instance":
        return 1
    if kind == "heap":
        return int(rng.integers(plan.heap_size[0], plan.heap_size[1] + 1))
    shares = np.array(plan.group_shares)
    return max(_least(kind, plan=plan), 2 + int(rng.choice(shares.size, p=shares / shares.sum())))


def _least(kind: Contact, *, plan: MetaphasePlan) -> int:
    """The fewest chromosomes of a group of this kind."""
    sizes = {"instance": 1, "touching": 2, "overlapping": 2, "touching_overlapping": 3}
    return sizes.get(kind, plan.heap_size[0])


def _usual_size(kind: Contact, *, plan: MetaphasePlan) -> float:
    """The mean of ``_size``."""
    if kind == "instance":
        return 1.0
    if kind == "heap":
        return sum(plan.heap_size) / 2
    sizes = np.maximum(np.arange(len(plan.group_shares)) + 2, _least(kind, plan=plan))
    return float(np.average(sizes, weights=plan.group_shares))


def _levels(rng: np.random.Generator, *, look: VirtualSlide) -> Levels:
    """Width and typical stain of the slide; stain with the reserve that its bridges need."""
    sketches = (
        sketch_type(rng, chromosome=name, preparation=look.preparation, banding=look.banding)
        for name in _USUAL_TYPES
    )
    stains = [typical_stain(ink(sketch, rng=rng).stain) for sketch in sketches]
    return Levels(look.bridge * float(np.median(stains)), width_px=look.preparation.width_px)


def _cluster(
    rng: np.random.Generator, *, group: _Group, look: VirtualSlide, levels: Levels, plan: MetaphasePlan
) -> Element:
    """The chromosomes of ``group`` in their relation, one object in a whole picture.

    A single chromosome that never is, for its light bands, is taken as it is.
    """
    closeness = Closeness(plan.max_gap_px, plan.touch_depth, plan.overlap_depth)
    sketchers = [
        partial(sketch_type, chromosome=name, preparation=look.preparation, banding=look.banding)
        for name in group.chromosomes
    ]
    n = len(sketchers)
    for draw in range(_DRAWS):
        relations = [None] * (n - 1) if group.contact == "heap" else relation_plan(group.type, n, rng=rng)
        laid = arrange(rng, sketchers=sketchers, relations=relations, closeness=closeness)
        if laid is None or type_of(laid, closeness=closeness) is not group.type:
            continue
        stain = added_stains(laid, share=look.added_stain)
        cores = cores_of(laid, stain=stain)
        if type_of(cores, closeness=_CORE_CLOSENESS) is not group.type:
            continue
        if is_one_object(stain, levels=levels) or (n == 1 and draw >= _DRAWS_OF_ONE):
            masks = stacked_masks(laid)
            return Element(ObjectKind.CHROMOSOMES, stain, masks, group.type, group.chromosomes)
    raise CompositionError(
        f"no {group.contact} of chromosomes {', '.join(group.chromosomes)} in {_DRAWS} draws",
        expected="bodies that can lie so without a further contact",
        remedy="ask for smaller clusters, or try another seed",
    )


def _clutter(rng: np.random.Generator, *, look: VirtualSlide, plan: MetaphasePlan) -> list[Element]:
    """Nuclei and debris, in the stain of the chromosomes around them."""
    width, level = look.preparation.width_px, look.preparation.stain_level
    elements = []
    for _ in range(int(rng.integers(plan.n_nuclei[0], plan.n_nuclei[1] + 1))):
        size = width * rng.uniform(7, 12)
        nucleus = draw_nucleus(rng, diameter_px=size, stain_level=level * rng.uniform(0.6, 1.0))
        elements.append(Element(ObjectKind.NUCLEUS, nucleus.stain, nucleus.mask[None]))
    for _ in range(int(rng.integers(plan.n_debris[0], plan.n_debris[1] + 1))):
        dirt = _dirt(rng, width_px=width, stain_level=level * rng.uniform(0.6, 1.6))
        elements.append(Element(ObjectKind.DEBRIS, dirt.stain, dirt.mask[None]))
    return elements


def _dirt(rng: np.random.Generator, *, width_px: float, stain_level: float) -> DrawnClutter:
    if rng.random() < _FIBRE_SHARE:
        length_px, thin_px = width_px * rng.uniform(0.8, 3.0), width_px * rng.uniform(0.08, 0.16)
        return draw_fibre(rng, length_px=length_px, width_px=thin_px, stain_level=stain_level)
    return draw_debris(rng, size_px=width_px * rng.uniform(0.3, 1.1), stain_level=stain_level)


def _clearance_px(look: VirtualSlide) -> int:
    """The least distance at which blurred bodies stay apart at the segmentation threshold."""
    return int(np.ceil(4 * look.preparation.blur_px)) + 3


def _photographed(
    rng: np.random.Generator,
    *,
    slide: Slide,
    laboratory: Laboratory,
    look: VirtualSlide,
    bit_depth: Literal[8, 16],
) -> Pixels:
    camera = laboratory.camera
    exposure = expose(slide.stain, camera=camera, width_px=look.preparation.width_px, rng=rng)
    return to_8_bit(exposure, camera=camera) if bit_depth == 8 else to_16_bit(exposure)


def _found_again(pixels: Pixels, labels: Labels, *, n_objects: int) -> tuple[Found, ...]:
    """What the picture alone shows of each object."""
    try:
        grey, image = grey_from_array(pixels), ImageConfig()
        stain, polarity = to_stain(grey, config=image), polarity_in(grey, config=image)
        found = find_foreground(stain, config=ForegroundConfig(), polarity=polarity)
        return find_again(labels, foreground=found)
    except ImageError:
        return (Found.UNREAD,) * n_objects
