"""An analysed picture -> what can be compared between laboratories: of the picture, and of what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from supcam.core.types import ClusterType, Decision, Polarity
from supcam.spread.objects import REJECTED
from supcam.spread.result import Analysis

_BLOCKS = 12
"""The background is looked at in so many parts along each side."""

Values = dict[str, float]
Embeddings = Float64[np.ndarray, "objects dim"]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A picture's measures by name, and the embeddings of what was kept in it; ``case`` groups pictures."""

    name: str
    case: str
    values: Values
    embeddings: Embeddings | None = None


def measure_analysis(analysis: Analysis, *, name: str, case: str) -> Measured:
    """All measures of a picture but the embeddings' distance, which hangs on a reference."""
    level, unevenness = _background(analysis)
    seen = [item.seen.embedding for item in analysis.kept if item.seen is not None]
    quality = analysis.quality
    values = {
        "width_px": quality.width_px,
        "contrast": quality.contrast,
        "focus": quality.focus,
        "bright_field": float(analysis.polarity is Polarity.BRIGHT_FIELD),
        "background": level,
        "unevenness": unevenness,
        **_read(analysis.rows(), n_chromosomes=analysis.count.n),
    }
    embeddings = np.array(seen, np.float64) if seen else None
    return Measured(name, case, values, embeddings)


def measure_record(record: Mapping[str, Any], *, case: str) -> Measured:
    """The measures that the record of ``supcam analyze`` holds: all but background, polarity, embeddings."""
    values = {key: float(record[key]) for key in ("width_px", "contrast", "focus")}
    image = record["image"]
    values |= _read(record["objects"], n_chromosomes=int(image["n_chromosomes"]))
    return Measured(str(image["image"]), case, values)


def _read(rows: Sequence[Mapping[str, Any]], *, n_chromosomes: int) -> Values:
    kept = [row for row in rows if row["type"] != REJECTED]
    confidences = [float(row["confidence"]) for row in kept if row["confidence"] != ""]
    accepted = sum(row["decision"] == Decision.ACCEPT.value for row in kept)
    n = max(1, len(kept))
    return {
        "n_chromosomes": float(n_chromosomes),
        **{kind.label: sum(row["type"] == kind.label for row in kept) / n for kind in ClusterType},
        "rejected": (len(rows) - len(kept)) / max(1, len(rows)),
        "confidence": float(np.median(confidences)) if confidences else 0.0,
        "accepted": accepted / n,
    }


def _background(analysis: Analysis) -> tuple[float, float]:
    """The level of the background and how much it differs from part to part, as shares of white.

    Of each part it is the median grey, which chromosomes do not reach; half the parts are looked at.
    """
    parts = [
        float(np.median(block)) / 255
        for band in np.array_split(analysis.preview, _BLOCKS, axis=0)
        for block in np.array_split(band, _BLOCKS, axis=1)
        if block.size
    ]
    low, middle, high = np.quantile(parts, (0.25, 0.5, 0.75))
    return float(middle), float(high - low)
