"""Records of analysed pictures -> the JSON document ``analysis``, for programs in other languages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from supcam.core.types import ClusterType
from supcam.spread.outputs import LABELS, crop_place
from supcam.spread.schema import ANALYSIS, Document


def analysis_document(pictures: list[Document], *, errors: list[Document] | None = None) -> Document:
    """The document ``analysis`` of pictures from ``picture_entry``."""
    return {"schema": ANALYSIS, "pictures": pictures, "errors": errors or []}


def picture_entry(record: Mapping[str, Any], *, output: Path | None) -> Document:
    """One picture of the document ``analysis``, from its record; ``output`` is the folder of its files."""
    image = record["image"]
    return {
        "image": image["image"],
        "case": record["case"],
        "model": record["model"],
        "height": image["height"],
        "width": image["width"],
        "decision": image["decision"],
        "reasons": record["reasons"],
        "notes": record["notes"],
        "n_chromosomes": {
            "n": image["n_chromosomes"],
            "low": image["n_chromosomes_low"],
            "high": image["n_chromosomes_high"],
        },
        **{name: record[name] for name in ("cluster_share", "focus", "contrast", "width_px")},
        "labels": _present(f"{LABELS}/{record['stem']}.png", output=output),
        "objects": _objects(record, output=output),
    }


def _objects(record: Mapping[str, Any], *, output: Path | None) -> list[Document]:
    masks = {item["object_id"]: item["segmentation"] for item in record["coco"]}
    return [
        {
            "object_id": row["object_id"],
            "box": {side: row[side] for side in ("top", "left", "bottom", "right")},
            "area_px": row["area_px"],
            "type": row["type"],
            "confidence": float(row["confidence"]) if row["confidence"] else None,
            "probabilities": _probabilities(row),
            "n_chromosomes": row["n_chromosomes"],
            "decision": row["decision"],
            "rejection": record["rejections"].get(str(row["object_id"])),
            "doubts": record["doubts"].get(str(row["object_id"]), []),
            "mask": masks.get(row["object_id"]),
            "crop": _present(
                crop_place(row["type"], stem=record["stem"], object_id=row["object_id"]), output=output
            ),
        }
        for row in record["objects"]
    ]


def _probabilities(row: Mapping[str, Any]) -> dict[str, float] | None:
    if not row["confidence"]:
        return None
    return {kind.label: float(row[f"p_{kind.label}"]) for kind in ClusterType}


def _present(name: str, *, output: Path | None) -> str | None:
    """``name``, when there is such a file in the folder ``output``."""
    return name if output is not None and (output / name).is_file() else None
