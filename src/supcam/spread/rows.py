"""Objects, pictures and cases as rows of tables, columns in a fixed order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from supcam.core.types import ClusterType, PixelSize
from supcam.spread.objects import SpreadObject

Row = dict[str, str | int | float]

OBJECT_COLUMNS = (
    "image",
    "object_id",
    "top",
    "left",
    "bottom",
    "right",
    "area_px",
    "type",
    "confidence",
    *(f"p_{kind.label}" for kind in ClusterType),
    "n_chromosomes",
    "decision",
)
IMAGE_COLUMNS = (
    "image",
    "width",
    "height",
    "n_objects",
    *(f"n_{kind.label}" for kind in ClusterType),
    "n_rejected",
    "n_chromosomes",
    "n_chromosomes_low",
    "n_chromosomes_high",
    "decision",
)
AREA_COLUMNS = (
    "image",
    "object_id",
    "area_px",
    "area_um2",
    "pixel_width_um",
    "pixel_height_um",
    "pixel_size_said_by",
)
CASE_COLUMNS = (
    "case",
    "n_metaphases",
    "modal_count",
    "n_modal",
    "lowest_count",
    "highest_count",
    "share_to_review",
)


def object_row(item: SpreadObject, *, name: str) -> Row:
    """The values of ``OBJECT_COLUMNS``; probabilities are blank when the model was not asked."""
    read = item.prediction
    shares = [f"{share:.6f}" for share in read.probabilities] if read else [""] * 4
    return {
        "image": name,
        "object_id": item.object_id,
        "top": item.box.top,
        "left": item.box.left,
        "bottom": item.box.bottom,
        "right": item.box.right,
        "area_px": item.area_px,
        "type": item.type,
        "confidence": f"{read.confidence:.6f}" if read else "",
        **{f"p_{kind.label}": share for kind, share in zip(ClusterType, shares, strict=True)},
        "n_chromosomes": item.n_chromosomes,
        "decision": item.decision.value,
    }


def area_row(row: Row, *, size: PixelSize) -> Row:
    """The values of ``AREA_COLUMNS`` for a row of ``object_row``."""
    return {
        **{column: row[column] for column in AREA_COLUMNS[:3]},
        "area_um2": f"{float(row['area_px']) * size.area_um2:.4f}",
        "pixel_width_um": f"{size.width_um:.6g}",
        "pixel_height_um": f"{size.height_um:.6g}",
        "pixel_size_said_by": size.said_by,
    }


@dataclass(frozen=True, slots=True)
class Counted:
    """One metaphase of a case: its number of chromosomes, and whether it is to be reviewed."""

    case: str
    n_chromosomes: int
    to_review: bool


def case_rows(counted: Iterable[Counted]) -> list[Row]:
    """The values of ``CASE_COLUMNS`` for every case, sorted by name.

    The modal count is the most frequent one, the larger of two that are equally frequent; ``n_modal``
    metaphases have it.
    """
    by_case: dict[str, list[Counted]] = {}
    for each in counted:
        by_case.setdefault(each.case, []).append(each)
    return [_case_row(case, metaphases=by_case[case]) for case in sorted(by_case)]


def _case_row(case: str, *, metaphases: Sequence[Counted]) -> Row:
    counts = Counter(each.n_chromosomes for each in metaphases)
    modal = max(counts, key=lambda n: (counts[n], n))
    share = sum(each.to_review for each in metaphases) / len(metaphases)
    return {
        "case": case,
        "n_metaphases": len(metaphases),
        "modal_count": modal,
        "n_modal": counts[modal],
        "lowest_count": min(counts),
        "highest_count": max(counts),
        "share_to_review": f"{share:.4f}",
    }
