"""The words everybody uses: cluster types, samples, regions, predictions and the error classes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

Stain = Float32[np.ndarray, "height width"]
"""Stain picture: 0 = background, larger = more stain."""
Mask = Bool[np.ndarray, "height width"]


class ClusterType(IntEnum):
    """One of the four cluster types of Lin et al. (2021), as two bits: touching (1) and overlapping (2).

    ``a | b`` is the type of a cluster that shows every relation of ``a`` and of ``b``.
    """

    INSTANCE = 0
    TOUCHING = 1
    OVERLAPPING = 2
    TOUCHING_OVERLAPPING = 3

    @property
    def label(self) -> str:
        """The name used in tables: ``instance``, ``touching``, ``overlapping``, ``touching_overlapping``."""
        return self.name.lower()

    @classmethod
    def from_label(cls, text: str) -> ClusterType:
        """The type called ``text``; case, hyphens and blanks do not matter. Raises ``ValueError``."""
        name = text.strip().upper().replace("-", "_").replace(" ", "_")
        if name not in cls.__members__:
            known = ", ".join(member.label for member in cls)
            raise ValueError(f"{text!r} is not a cluster type; expected one of: {known}")
        return cls[name]

    def __or__(self, other: int) -> ClusterType:
        return ClusterType(int(self) | int(other))


class Decision(StrEnum):
    """What to do with a prediction: take it, or show it to a person."""

    ACCEPT = "accept"
    REVIEW = "review"


class Clutter(StrEnum):
    """What an object of a whole picture is when its mere shape tells that it is no chromosome."""

    NUCLEUS = "nucleus"
    MARK = "mark"


class Polarity(StrEnum):
    """How stain shows: dark on a bright background, or bright on a dark one."""

    BRIGHT_FIELD = "bright_field"
    FLUORESCENCE = "fluorescence"


@dataclass(frozen=True, slots=True)
class Box:
    """Half-open pixel box: rows ``top <= y < bottom``, columns ``left <= x < right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows in the box."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns in the box."""
        return self.right - self.left

    def grown(self, by_px: int, *, within: tuple[int, int]) -> Box:
        """The box with ``by_px`` more on each side, as far as a picture of that height and width reaches."""
        return Box(
            top=max(0, self.top - by_px),
            left=max(0, self.left - by_px),
            bottom=min(within[0], self.bottom + by_px),
            right=min(within[1], self.right + by_px),
        )

    def moved(self, down: int, right: int) -> Box:
        """The box so many pixels farther down and to the right."""
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    @property
    def slices(self) -> tuple[slice, slice]:
        """The box as an index into a picture."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Width and height of a pixel in micrometres, and what said so: ``OME-XML``, ``ImageJ`` and so on."""

    width_um: float
    height_um: float
    said_by: str

    @property
    def area_um2(self) -> float:
        """The area of a pixel in square micrometres."""
        return self.width_um * self.height_um

    def told(self) -> str:
        """The whole in a few words."""
        return f"a pixel is {self.width_um:.4g} x {self.height_um:.4g} µm, says its {self.said_by}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One row of a manifest: a picture, or a box in one, with what is known about it."""

    path: Path
    case: str
    source: str
    type: ClusterType | None = None
    n_chromosomes: int | None = None
    sha256: str = ""
    box: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A connected piece of foreground with its surroundings, cut from a picture.

    ``stain`` and ``mask`` share one shape; ``mask`` is the component at the segmentation threshold,
    ``box`` its place in the picture it came from, ``width_px`` the chromosome width there. ``picture`` names
    the metaphase that it was cut from, and is blank for a crop.
    """

    stain: Stain
    mask: Mask
    box: Box
    width_px: float
    case: str = ""
    source: str = ""
    picture: str = ""
    type: ClusterType | None = None
    n_chromosomes: int | None = None
    is_chromosome: bool = True


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the network reads in one cluster picture.

    ``label`` is ``None`` for an object rejected as no chromosome. ``probabilities`` are in ``ClusterType``
    order, sum to 1 and belong to the joint reading of type and count: instance <=> one chromosome.
    ``confidence`` is their maximum. ``chromosome_probability`` is ``None`` when that head is untrained.
    ``type_set`` holds every type that it may be, at the level that was asked for.
    ``unfamiliarity`` is how unlike the pictures of calibration it looks: above 1 it goes to review. Either is
    ``None`` for a model that came without.
    """

    label: ClusterType | None
    probabilities: tuple[float, float, float, float]
    confidence: float
    n_chromosomes: int
    decision: Decision
    chromosome_probability: float | None = None
    type_set: tuple[ClusterType, ...] | None = None
    unfamiliarity: float | None = None

    @property
    def type(self) -> str:
        """The name that every table uses: that of the label, or ``rejected``."""
        return "rejected" if self.label is None else self.label.label


class SupcamError(Exception):
    """Wrong input from outside. The message says where, what was found, what was expected and what to do."""

    def __init__(self, found: str, *, expected: str, remedy: str, where: str | Path = "") -> None:
        self.where = str(where)
        self.found = found
        self.expected = expected
        self.remedy = remedy
        place = f"{self.where}: " if self.where else ""
        super().__init__(f"{place}{self.reason}")

    @property
    def difference(self) -> str:
        """What was found and what was expected, without the place."""
        return f"found {self.found}; expected {self.expected}"

    @property
    def reason(self) -> str:
        """The whole message without the place."""
        return f"{self.difference}; {self.remedy}"


class ImageError(SupcamError):
    """A picture that cannot be read, or that the limits forbid to read."""


class ManifestError(SupcamError):
    """A table or folder of samples that does not say what it must."""


class ConfigError(SupcamError):
    """A configuration with an unknown key or a value out of range."""


class MissingExtraError(SupcamError):
    """A package that comes with an extra of the installation, which is not there."""

    def __init__(self, package: str, *, extra: str, error: ImportError) -> None:
        super().__init__(
            f"no {package} ({error})",
            expected=f"the extra {extra} to be installed",
            remedy=f"run: pip install 'supcam[{extra}]'",
        )


class BundleError(SupcamError):
    """A model folder that is incomplete, of an unknown version, or changed since it was made."""


class CompositionError(SupcamError):
    """A composition that cannot be made as asked."""


class TrainingError(SupcamError):
    """A training run that cannot start, or whose promise was broken."""
