"""One frozen model per stage; TOML in, JSON out; an unknown key or a bad range is an error."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from supcam.core.types import ClusterType, ConfigError, Polarity


class StageConfig(BaseModel):
    """What every stage's configuration shares: frozen, unknown keys refused, defaults checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


Values = TypeVar("Values", tuple[float, ...], dict[str, float])


def _shares(values: Values) -> Values:
    """Checks shares: in proportion to each other, they need not add up to 1."""
    numbers = [*values.values()] if isinstance(values, dict) else [*values]
    if any(number < 0 for number in numbers) or (numbers and not any(numbers)):
        raise ValueError("expected shares that are not negative, at least one of them above 0")
    return values


def _rising(values: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= values[0] <= values[1]:
        raise ValueError("expected two numbers that are not negative, the smaller one first")
    return values


def _above_zero(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] <= 0:
        raise ValueError("expected numbers above 0")
    return _rising(values)


Between = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Lowest and highest value of a range to draw from."""
BetweenAboveZero = Annotated[tuple[float, float], AfterValidator(_above_zero)]
"""The same for what is drawn on a logarithmic scale."""


def _type_label(label: str) -> str:
    return ClusterType.from_label(label).label


FolderNumber = Annotated[int, Field(ge=0)]
TypeLabel = Annotated[str, AfterValidator(_type_label)]
"""The label of one of the four types."""
TouchKind = Literal["end_to_end", "t_junction", "side_by_side", "glancing"]
OverlapKind = Literal["crossing", "t_junction", "side_by_side"]


class ImageConfig(StageConfig):
    """How a picture file becomes a grey picture and a stain picture."""

    max_megapixels: float = Field(200.0, gt=0, le=4000, description="Pictures with more pixels are refused.")
    max_bytes: int = Field(2_000_000_000, gt=0, description="Files larger than this are refused.")
    page: int = Field(0, ge=0, description="Page of a multi-page file, counted from 0.")
    polarity: Polarity | Literal["auto"] = Field("auto", description="auto finds it from the background.")


class ForegroundConfig(StageConfig):
    """What is foreground, and what is contact. Levels are shares of the picture's typical stain."""

    segmentation_level: float = Field(
        0.22, gt=0, lt=1, description="Stain above this share is foreground: the outlines of objects."
    )
    contact_level: float = Field(
        0.38,
        gt=0,
        lt=1,
        description="In whole pictures, bodies that hang together above this share are one object.",
    )
    core_level: float = Field(
        0.28,
        gt=0,
        lt=1,
        description="Stain above this share is core: composition makes contacts there.",
    )
    width_level: float = Field(
        0.15,
        gt=0,
        lt=1,
        description="In a crop, width is measured on stain above this share: light bands too.",
    )
    background_px: int = Field(
        101, ge=3, description="Side of the window in which the local background is looked for."
    )
    min_area_px: int = Field(40, ge=1, description="Smaller components are dust.")
    nucleus_widths: float = Field(
        2.7, gt=1.5, le=20, description="A body this many chromosome widths thick is a nucleus."
    )

    @model_validator(mode="after")
    def _core_within_segmentation(self) -> Self:
        if min(self.core_level, self.contact_level) < self.segmentation_level:
            raise ValueError("core_level and contact_level must not be below segmentation_level")
        return self


class CropConfig(StageConfig):
    """How a component becomes the square that the network sees."""

    size_px: int = Field(128, ge=32, le=512, description="Side of the network's square input.")
    scale_rule: Literal["width", "square_fit"] = Field(
        "width", description="width: one chromosome width for all; square_fit: long side fills the square."
    )
    width_px: float = Field(11.0, gt=2, le=60, description="Chromosome width in the network's input.")
    max_enlargement: float = Field(2.0, ge=1, le=8, description="Pictures are never enlarged more than this.")
    margin_px: int = Field(3, ge=0, le=40, description="Background kept around the object, in input pixels.")


class CompositionConfig(StageConfig):
    """How single chromosomes become clusters. All values are our choice (``docs/method.md``)."""

    type_shares: Annotated[tuple[float, float, float, float], AfterValidator(_shares)] = Field(
        (0.30, 0.27, 0.23, 0.20),
        description="Shares of instance, touching, overlapping, touching-overlapping.",
    )
    group_shares: Annotated[tuple[float, ...], AfterValidator(_shares)] = Field(
        (0.66, 0.20, 0.08, 0.04, 0.02),
        min_length=1,
        description="Shares of clusters of 2, 3, 4 ... chromosomes.",
    )
    touch_shares: Annotated[dict[TouchKind, float], AfterValidator(_shares)] = Field(
        {"end_to_end": 0.28, "t_junction": 0.34, "side_by_side": 0.20, "glancing": 0.18},
        min_length=1,
        description="How touching chromosomes meet.",
    )
    overlap_shares: Annotated[dict[OverlapKind, float], AfterValidator(_shares)] = Field(
        {"crossing": 0.66, "t_junction": 0.30, "side_by_side": 0.04},
        min_length=1,
        description="How overlapping chromosomes meet.",
    )
    heap_share: float = Field(
        0.3, ge=0, le=1, description="Share of additions that seek the cluster's middle."
    )
    gap_share: float = Field(0.45, ge=0, le=1, description="Share of touches with a gap between the cores.")
    max_gap_px: float = Field(
        4.0, ge=0, le=10, description="Widest gap between touching cores, in input pixels."
    )
    touch_depth: float = Field(
        0.25,
        gt=0,
        lt=0.5,
        description="Touching bodies reach into each other by at most this share of a width.",
    )
    overlap_depth: float = Field(
        0.5,
        ge=0.3,
        le=1,
        description="Overlapping bodies reach into each other by at least this share of a width.",
    )
    segmentation_levels: BetweenAboveZero = Field(
        (0.04, 0.25), description="The threshold at which a cluster must be one piece is drawn between these."
    )
    added_stain: Between = Field(
        (0.35, 1.0), description="Share of the weaker stain that adds where bodies lie on each other."
    )
    free_rotation_share: float = Field(
        0.5, ge=0, le=1, description="Share of bodies turned by any angle; the others by quarter turns."
    )
    scale_jitter: float = Field(0.15, ge=0, lt=0.5, description="Chromosome width varies by this share.")
    band_share: float = Field(
        0.5, ge=0, le=1, description="Share of samples with bands drawn on their bodies."
    )
    band_depth: Between = Field(
        (0.2, 0.9), description="Share of the stain that the lightest drawn bands lose, drawn for a sample."
    )
    band_length: BetweenAboveZero = Field((0.2, 1.2), description="Length of drawn bands, in widths.")
    bent_share: float = Field(
        0.5, ge=0, le=1, description="Share of the single chromosomes that are there a second time, bent."
    )
    bend_deg: Between = Field((30.0, 170.0), description="Angle by which bent copies are bent.")
    stretch: BetweenAboveZero = Field((0.95, 1.45), description="Factor on the length of bent copies.")
    source_shares: Annotated[dict[str, float], AfterValidator(_shares)] = Field(
        {}, description="Chance of each source (manifest name); empty: every metaphase has the same chance."
    )
    tries: int = Field(12, ge=1, le=1000, description="Attempts to place one body before giving up.")

    @model_validator(mode="after")
    def _touch_below_overlap(self) -> Self:
        if self.touch_depth >= self.overlap_depth:
            raise ValueError("touch_depth must be below overlap_depth, with a gap that is never labelled")
        return self


class ViewConfig(StageConfig):
    """How a picture varies between laboratories, cameras and days: photometric changes of a network input."""

    blur_px: Between = Field((0.0, 0.8), description="Gaussian blur, standard deviation.")
    sharpen: float = Field(0.6, ge=0, le=2, description="Strongest unsharp mask.")
    noise: float = Field(
        0.05, ge=0, le=0.5, description="Largest standard deviation of the noise, share of stain."
    )
    banding: BetweenAboveZero = Field(
        (0.4, 2.0), description="Factor on the contrast of bands within a body."
    )
    band_px: BetweenAboveZero = Field((2.0, 6.0), description="Reach of a band's surroundings (Gaussian).")
    gamma: BetweenAboveZero = Field((0.6, 1.5), description="Exponent on the stain: faint to hard contrast.")
    pedestal: float = Field(
        0.12, ge=0, le=0.5, description="Largest stain left in, or taken off, as background."
    )
    speck_share: float = Field(
        0.12, ge=0, le=1, description="Share of pictures with specks of dirt drawn on the rim of the object."
    )
    shift_px: int = Field(4, ge=0, le=32, description="Largest shift in each direction.")


class SourceConfig(StageConfig):
    """One set of pictures on disk, as ``supcam.data.manifest.read_manifest`` takes it."""

    source: str = Field(description="Name of the laboratory or publication, as in the roles file.")
    path: str = Field(description="Manifest or folder, below the root.")
    root: str | None = Field(None, description="Root of this source alone; None: that of the data.")
    role: str | None = Field(
        None, description="Role of all its cases, where the roles file does not list them, such as train."
    )
    layout: Literal["auto", "chrcluster", "csv", "folder", "voc", "coco"] = Field(
        "auto", description="How the files lie on disk; auto finds out."
    )
    case_rule: str | None = Field(None, description="How a file names its case; None: the layout's own way.")
    pictures: str | None = Field(
        None, description="Folder of the pictures, where it is not beside the manifest."
    )
    label_map: dict[FolderNumber, TypeLabel] | None = Field(
        None,
        description="Type of each numbered folder of the layout chrcluster; None: 0 instance, 1 touching, "
        "2 overlapping, 3 touching_overlapping, an assumption to check.",
    )


class DataConfig(StageConfig):
    """Which pictures play which part. A part is named ``source:role`` as in the roles file."""

    root: str = Field(
        "$SUPCAM_DATA", description="Folder of all sources; environment variables are expanded."
    )
    sources: dict[str, SourceConfig] = Field({}, description="Sets of pictures by a name of one's own.")
    roles: str = Field(
        "roles.csv", description="File that gives every case its role, beside the configuration."
    )
    train: tuple[str, ...] = Field((), description="Parts that the run learns from.")
    validation: dict[str, tuple[str, ...]] = Field({}, description="Named sets that the run is watched on.")
    typed_clusters: bool = Field(
        False, description="Whether labelled clusters of the training parts are used."
    )
    clusters_a_class: int | None = Field(
        None,
        ge=0,
        description="Labelled clusters of each type that are used, drawn by the seed of step 2; None: all.",
    )
    counted_clusters: bool = Field(
        False, description="Whether harvested clusters of known count (type unknown) are used."
    )
    typed_by: str | None = Field(
        None,
        description="Checkpoint of a classifier that gives clusters of known number their type, where it is "
        "sure; None: their type stays unknown.",
    )
    typed_from: float = Field(0.8, ge=0.25, le=1, description="How sure it must be, as a probability.")
    single_share: float = Field(0.10, ge=0, le=1, description="Share of real single chromosomes, uncomposed.")
    cluster_share: float = Field(0.12, ge=0, le=1, description="Share of real clusters, where they are used.")
    debris_share: float = Field(0.06, ge=0, le=1, description="Share of objects that are no chromosome.")
    balanced_types: bool = Field(
        False,
        description="Without composition: each type that there are pictures of is drawn as often as any "
        "other, clusters of unknown type counting as one; else singles and clusters come by their shares.",
    )
    pasted_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Without composition: share of pictures onto which another single chromosome is pasted "
        "at random, the label unchanged; a rival of composition.",
    )


Config = TypeVar("Config", bound=StageConfig)


def parse_config(model: type[Config], values: object, *, where: str | Path) -> Config:
    """``values`` as a checked ``model``. Raises ``ConfigError`` naming every wrong key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}"
            for item in error.errors()
        )
        known = ", ".join(model.model_fields)
        raise ConfigError(
            wrong, expected=f"keys among: {known}", remedy="correct the configuration", where=where
        ) from error


def read_toml(path: Path) -> dict[str, object]:
    """The tables of a TOML file. Raises ``ConfigError`` when it is missing or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            str(error), expected="a readable TOML file", remedy="check the path and the syntax", where=path
        ) from error
