"""Bodies to compose, drawn; and what masks say of each other by plain distances between their pixels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache

import cv2
import numpy as np
from jaxtyping import Float64, Int64

from supcam.core.config import CompositionConfig, CropConfig, ForegroundConfig
from supcam.core.crop import region_from_crop
from supcam.core.types import Box, ClusterType, Mask, Region, Stain
from supcam.data.composition import Composed, Composer
from supcam.data.piece import Piece, prepare
from supcam.data.synthesis import SynthesisConfig, draw_chromosome, draw_cluster, draw_preparation

Pixels = Int64[np.ndarray, "pixels 2"]

STEADY = {"scale_jitter": 0.0}
"""Every chromosome at the common width, so that widths in the picture are known."""
REACH_PX = 4.0


def bar(*, length: float, width: float, angle_deg: float = 0.0, blur_px: float = 0.0) -> Stain:
    """A straight bar of even stain 1, its ends square, in the middle of a picture that holds it."""
    side = int(np.hypot(length, width)) + 24
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    along, across = columns * cos - rows * sin, columns * sin + rows * cos
    inside = np.clip(length / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(width / 2 + 0.5 - np.abs(across), 0, 1)
    stain: Stain = inside.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(stain, (0, 0), blur_px)) if blur_px else stain


def bar_region(*, length: float, width: float, angle_deg: float = 0.0) -> Region:
    """A bar as a single chromosome whose width is known exactly."""
    stain = bar(length=length, width=width, angle_deg=angle_deg)
    mask = stain > 0.22
    box = Box(0, 0, *stain.shape)
    one = Region(stain=stain, mask=mask, box=box, width_px=width, case="bars", source="drawn")
    return replace(one, type=ClusterType.INSTANCE, n_chromosomes=1)


def bar_piece(*, length: float, width: float, angle_deg: float = 0.0) -> Piece:
    """The same, ready for composition."""
    piece = prepare(bar_region(length=length, width=width, angle_deg=angle_deg), config=ForegroundConfig())
    assert piece is not None
    return piece


def drawn_region(seed: int, *, case: int = 0, config: SynthesisConfig | None = None) -> Region:
    """A drawn chromosome; those of one case come from one slide."""
    config = config or SynthesisConfig()
    slide = draw_preparation(np.random.default_rng([case, 1]), config=config)
    drawn = draw_chromosome(np.random.default_rng([case, 2, seed]), config=config, preparation=slide)
    found = region_from_crop(np.pad(drawn.stain, 8), outside=None, config=ForegroundConfig())
    return replace(
        found,
        width_px=slide.width_px,
        case=str(case),
        source="drawn",
        type=ClusterType.INSTANCE,
        n_chromosomes=1,
    )


@cache
def drawn_pieces(*, cases: int = 3, each: int = 14) -> tuple[Piece, ...]:
    """Chromosomes of several slides, ready for composition."""
    made = (
        prepare(drawn_region(seed, case=case), config=ForegroundConfig())
        for case in range(cases)
        for seed in range(each)
    )
    return tuple(piece for piece in made if piece is not None)


@cache
def cluster_piece(kind: ClusterType, n_chromosomes: int, *, seed: int = 0) -> Piece:
    """A labelled cluster of the first slide, ready for composition."""
    slide = draw_preparation(np.random.default_rng([0, 1]))
    drawn = draw_cluster(
        np.random.default_rng([9, seed]), type=kind, n_chromosomes=n_chromosomes, preparation=slide
    )
    found = region_from_crop(np.pad(drawn.stain, 8), outside=None, config=ForegroundConfig())
    named = replace(found, width_px=slide.width_px, case="0", source="drawn")
    piece = prepare(replace(named, type=kind, n_chromosomes=n_chromosomes), config=ForegroundConfig())
    assert piece is not None
    return piece


def composer(**settings: object) -> Composer:
    """A composer of the drawn chromosomes."""
    config = CompositionConfig.model_validate(settings)
    return Composer(drawn_pieces(), config=config, crop=CropConfig())


def digest(composed: Composed) -> str:
    """A short name of everything that was composed."""
    content = composed.picture.tobytes() + composed.masks.tobytes()
    return hashlib.sha256(content + f"{composed.type} {composed.n_chromosomes}".encode()).hexdigest()


# What the masks say ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meeting:
    """One place where a later body comes near an earlier one, and how deep it reaches in (gap: below 0)."""

    depth_px: float
    n_pixels: int


def distances(pixels: Pixels, others: Pixels) -> Float64[np.ndarray, " pixels"]:
    """From the middle of each pixel to the middle of the nearest of ``others``."""
    down = pixels[:, None, 0] - others[None, :, 0]
    right = pixels[:, None, 1] - others[None, :, 1]
    return np.asarray(np.sqrt(((down**2) + (right**2)).min(axis=1)))


def edge_outside(mask: Mask) -> Pixels:
    """The pixels of the background that have a neighbour (of four) in ``mask``."""
    padded = np.pad(mask, 1)
    near = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return np.argwhere(near & ~mask)


def parts(pixels: Pixels) -> list[list[tuple[int, int]]]:
    """Pixels grouped by neighbourhood (of eight), by walking from one to the next."""
    left = {(int(row), int(column)) for row, column in pixels}
    found = []
    while left:
        front = [left.pop()]
        part = []
        while front:
            row, column = front.pop()
            part.append((row, column))
            around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            front.extend(around)
        found.append(part)
    return found


def meetings(earlier: Mask, later: Mask, *, reach_px: float = REACH_PX) -> list[Meeting]:
    """Every place where two bodies come within ``reach_px``, and how deep the deeper one reaches in."""
    pixels = np.argwhere(later)
    inside = earlier[pixels[:, 0], pixels[:, 1]]
    deepest = np.maximum(distances(pixels, edge_outside(earlier)), distances(pixels, edge_outside(later)))
    depth = np.where(inside, deepest, -distances(pixels, np.argwhere(earlier)))
    near = depth > -reach_px - 1.5
    by_pixel = {(int(row), int(column)): float(d) for (row, column), d in zip(pixels, depth, strict=True)}
    return [Meeting(max(by_pixel[pixel] for pixel in part), len(part)) for part in parts(pixels[near])]


def widths_in(composed: Composed) -> list[float]:
    """The width of each body in the composed picture, by the area of its mask."""
    return [
        piece.width_px * float(np.sqrt(mask.sum() / (piece.core > 127).sum()))
        for piece, mask in zip(composed.parents, composed.masks, strict=True)
    ]


def relations_in(composed: Composed) -> set[ClusterType]:
    """The bits that the masks show, pair by pair; what lies between touching and overlapping is an error.

    The composer measures distances to within five per cent, hence the margins.
    """
    widths = widths_in(composed)
    shown = set()
    for j in range(1, len(composed.masks)):
        for i in range(j):
            width = min(widths[i], widths[j])
            for meeting in meetings(composed.masks[i], composed.masks[j]):
                if meeting.depth_px < -REACH_PX - 1:
                    continue
                share = meeting.depth_px / width
                assert share <= 0.25 * 1.1 or share >= 0.5 * 0.9, f"a contact of {share:.2f} widths"
                shown.add(ClusterType.OVERLAPPING if share >= 0.45 else ClusterType.TOUCHING)
    return shown
