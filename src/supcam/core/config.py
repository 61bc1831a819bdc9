"""One frozen model per stage; TOML in, JSON out; an unknown key or a bad range is an error."""

import tomllib
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from supcam.core.types import ConfigError, Polarity


class StageConfig(BaseModel):
    """What every stage's configuration shares: frozen, unknown keys refused, defaults checked."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class ImageConfig(StageConfig):
    """How a picture file becomes a grey picture and a stain picture."""

    max_megapixels: float = Field(200.0, gt=0, le=4000, description="Pictures with more pixels are refused.")
    max_bytes: int = Field(2_000_000_000, gt=0, description="Files larger than this are refused.")
    page: int = Field(0, ge=0, description="Page of a multi-page file, counted from 0.")
    polarity: Polarity | Literal["auto"] = Field("auto", description="auto finds it from the background.")


class ForegroundConfig(StageConfig):
    """What is foreground, and what is contact. Levels are shares of the picture's typical chromosome stain."""

    segmentation_level: float = Field(
        0.22, gt=0, lt=1, description="Stain above this share is foreground; its components are the objects."
    )
    core_level: float = Field(
        0.40, gt=0, lt=1, description="Stain above this share is core: touching and overlapping are read there."
    )
    background_px: int = Field(
        101, ge=3, description="Side of the window in which the local background is looked for."
    )
    min_area_px: int = Field(40, ge=1, description="Smaller components are dust.")

    @model_validator(mode="after")
    def _core_within_segmentation(self) -> Self:
        if self.core_level < self.segmentation_level:
            raise ValueError("core_level must not be below segmentation_level")
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


class NetworkConfig(StageConfig):
    """The network: a timm backbone with one input channel and three heads."""

    backbone: str = Field("resnet10t", description="Name of a timm model.")
    channels: tuple[int, ...] | None = Field(None, description="Stage widths, for timm ResNets; None: timm's own.")
    max_count: int = Field(12, ge=3, le=60, description="Largest number of chromosomes told apart; last = or more.")
    drop_rate: float = Field(0.0, ge=0, lt=1, description="Dropout before the heads.")


class TrainConfig(StageConfig):
    """How the weights are found."""

    seed: int = Field(0, ge=0, description="Everything random in a run follows from it.")


Config = TypeVar("Config", bound=StageConfig)


def parse_config(model: type[Config], values: object, *, where: str | Path) -> Config:
    """``values`` as a checked ``model``. Raises ``ConfigError`` naming every wrong key."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the whole'}: {item['msg']}" for item in error.errors()
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
