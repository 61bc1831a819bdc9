"""What pictures of known laboratories are like, and what the model made of them: kept with a bundle."""

from __future__ import annotations

from pydantic import Field

from supcam.core.config import StageConfig
from supcam.pack.card import parse_model, parse_object

MEASURES: dict[str, str] = {
    "width_px": "width of a chromosome, in pixels",
    "contrast": "strength of the stain",
    "focus": "sharpness of the chromosomes' edges",
    "bright_field": "share of pictures with dark stain on bright ground",
    "background": "level of the background, as a share of white",
    "unevenness": "unevenness of the background, as a share of white",
    "n_chromosomes": "chromosomes in a picture",
    "instance": "share of single chromosomes among the objects",
    "touching": "share of touching clusters among the objects",
    "overlapping": "share of overlapping clusters among the objects",
    "touching_overlapping": "share of touching-overlapping clusters among the objects",
    "rejected": "share of the objects found that are rejected as no chromosome",
    "confidence": "median confidence of the type",
    "accepted": "share of the objects accepted without a look",
    "embedding_distance": "distance of the objects' embeddings from the known ones",
}
"""What is measured of a picture, in words."""


class KnownPicture(StageConfig):
    """What was measured of one picture of a known laboratory; its case is a number without a name."""

    case: int = Field(ge=0, description="Pictures of one case share it.")
    values: dict[str, float] = Field(description="Measures by name.")


class Reference(StageConfig):
    """The content of ``reference.json``."""

    format: int = Field(1, ge=1, le=1, description="Version of this file's format.")
    sources: tuple[str, ...] = Field((), description="Where the pictures come from.")
    role: str = Field("unstated", description="Role that their cases play.")
    embedding_mean: tuple[float, ...] = Field(description="Mean embedding of the objects.")
    embedding_spread: tuple[float, ...] = Field(description="Its deviation in each direction.")
    model_sha256: str = Field("", description="Hash of the weights that read the pictures.")
    pictures: tuple[KnownPicture, ...] = Field(min_length=2, description="One entry a picture.")


def parse_reference(text: bytes, *, where: str) -> Reference:
    """The reference in ``text``. Raises ``BundleError``."""
    return parse_model(Reference, parse_object(text, where=where), where=where)
