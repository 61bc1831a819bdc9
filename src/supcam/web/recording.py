"""An analysis -> files in the vault and rows for the store; nothing is committed here."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass

import cv2
import numpy as np

from supcam.core.rle import encode_rle
from supcam.core.types import ClusterType
from supcam.pack.bundle import Model
from supcam.spread.crops import cut_out
from supcam.spread.objects import Seen, SpreadObject
from supcam.spread.overlay import outline, png_bytes
from supcam.spread.result import Analysis
from supcam.web.tables import AnalysisRow, ObjectRow, PredictionRow
from supcam.web.vault import Vault

_SMOOTH_PX = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One picture read by one model, ready to be committed. Predictions are in the order of the objects."""

    analysis: AnalysisRow
    objects: tuple[ObjectRow, ...]
    predictions: tuple[PredictionRow, ...]


@dataclass(frozen=True, slots=True, eq=False)
class SeenFile:
    """What the network saw in the objects of a picture; ``squares`` are (top, left, side) in pixels."""

    embeddings: np.ndarray
    maps: np.ndarray
    squares: np.ndarray


def identity(*parts: str) -> str:
    """An id for what ``parts`` name: the same today and tomorrow, on this server and on the next."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def record_of(analysis: Analysis, *, image_id: str, model: Model, vault: Vault) -> Record:
    """The rows of an analysis, its files put into ``vault``. Raises ``OSError`` when there is no room."""
    seen = [item.seen for item in analysis.objects if item.seen]
    row = AnalysisRow(
        id=identity(image_id, model.card.seal),
        image_id=image_id,
        model_seal=model.card.seal,
        model_sha256=model.card.model_sha256,
        model_name=model.card.name,
        model_version=model.card.version,
        facts=_facts(analysis),
        picture_sha256=vault.put(png_bytes(analysis.preview)),
        overlay_sha256=vault.put(png_bytes(analysis.overlay())),
        seen_sha256=vault.put(_seen_bytes(seen)) if seen else "",
    )
    objects, predictions, n_seen = [], [], 0
    for item in analysis.objects:
        objects.append(_object_row(item, analysis=analysis, image_id=image_id, vault=vault))
        index = n_seen if item.seen else None
        n_seen += item.seen is not None
        predictions.append(_prediction_row(item, analysis=row, object_id=objects[-1].id, seen_index=index))
    return Record(row, objects=tuple(objects), predictions=tuple(predictions))


def read_seen(content: bytes) -> SeenFile:
    """What ``record_of`` put into the vault about embeddings and maps."""
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return SeenFile(
            embeddings=arrays["embeddings"].astype(np.float32),
            maps=arrays["maps"].astype(np.float32),
            squares=arrays["squares"],
        )


def _seen_bytes(seen: list[Seen]) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(
        file,
        embeddings=np.stack([each.embedding for each in seen]).astype(np.float16),
        maps=np.stack([each.type_map for each in seen]).astype(np.float16),
        squares=np.array([(each.top_px, each.left_px, each.side_px) for each in seen], np.float64),
    )
    return file.getvalue()


def _facts(analysis: Analysis) -> dict[str, object]:
    count, quality = analysis.count, analysis.quality
    return {
        "height": analysis.size[0],
        "width": analysis.size[1],
        "picture_scale": analysis.preview_scale,
        "polarity": analysis.polarity.value,
        "n_objects": len(analysis.kept),
        "n_rejected": len(analysis.rejected),
        "n_chromosomes": count.n,
        "n_chromosomes_low": count.low,
        "n_chromosomes_high": count.high,
        "by_type": analysis.by_type,
        "decision": analysis.decision.value,
        "reasons": list(analysis.reasons),
        "notes": list(analysis.notes),
        "chromosome_width_px": round(quality.width_px, 2),
        "focus": round(quality.focus, 4),
        "contrast": round(quality.contrast, 4),
    }


def _object_row(item: SpreadObject, *, analysis: Analysis, image_id: str, vault: Vault) -> ObjectRow:
    rle = encode_rle(item.mask, box=item.box, shape=analysis.size)["counts"]
    crop = cut = ""
    if item.crop is not None:
        crop = vault.put(png_bytes(item.crop))
        width_px, polarity = analysis.quality.width_px, analysis.polarity
        cut = vault.put(png_bytes(cut_out(item, width_px=width_px, polarity=polarity)))
    return ObjectRow(
        id=identity(image_id, rle),
        image_id=image_id,
        top=item.box.top,
        left=item.box.left,
        bottom=item.box.bottom,
        right=item.box.right,
        area_px=item.area_px,
        outline=_polygons(item),
        rle=rle,
        crop_sha256=crop,
        cut_sha256=cut,
    )


def _polygons(item: SpreadObject) -> list[list[list[int]]]:
    lines = [cv2.approxPolyDP(points, _SMOOTH_PX, closed=True)[:, 0] for points in outline(item)]
    return [[[int(x), int(y)] for x, y in points] for points in lines]


def _prediction_row(
    item: SpreadObject, *, analysis: AnalysisRow, object_id: str, seen_index: int | None
) -> PredictionRow:
    read = item.prediction
    return PredictionRow(
        analysis_id=analysis.id,
        object_id=object_id,
        number=item.object_id,
        model_sha256=analysis.model_sha256,
        model_version=analysis.model_version,
        type=item.type,
        n_chromosomes=item.n_chromosomes,
        decision=item.decision.value,
        confidence=None if read is None else read.confidence,
        chromosome_probability=None if read is None else read.chromosome_probability,
        probabilities=None if read is None else list(read.probabilities),
        rejection=item.rejection.value if item.rejection else "",
        doubts=[doubt.value for doubt in item.doubts],
        doubt=doubt_of(item),
        seen_index=seen_index,
    )


def doubt_of(item: SpreadObject) -> float:
    """0 sure, 1 not at all: what needs a look comes before all that does not, the least sure first."""
    read = item.prediction
    sure = 1.0
    if read is not None and item.is_kept:
        sure = (read.confidence - 1 / len(ClusterType)) / (1 - 1 / len(ClusterType))
    elif read is not None and read.chromosome_probability is not None:
        sure = 1 - read.chromosome_probability
    return float(np.clip(0.5 * bool(item.doubts) + 0.5 * (1 - sure), 0, 1))
