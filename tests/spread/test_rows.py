from __future__ import annotations

from supcam.core.types import PixelSize
from supcam.spread.rows import (
    AREA_COLUMNS,
    CASE_COLUMNS,
    IMAGE_COLUMNS,
    OBJECT_COLUMNS,
    Counted,
    Row,
    area_row,
    case_rows,
)


def test_columns_are_the_promised_ones() -> None:
    assert ",".join(OBJECT_COLUMNS) == (
        "image,object_id,top,left,bottom,right,area_px,type,confidence,p_instance,p_touching,p_overlapping,"
        "p_touching_overlapping,n_chromosomes,decision"
    )
    assert ",".join(IMAGE_COLUMNS) == (
        "image,width,height,n_objects,n_instance,n_touching,n_overlapping,n_touching_overlapping,n_rejected,"
        "n_chromosomes,n_chromosomes_low,n_chromosomes_high,decision"
    )


def test_a_case_has_its_modal_count_and_its_spread() -> None:
    counted = [Counted("b", 46, to_review=False)]
    counted += [Counted("a", n, to_review=n != 46) for n in (46, 45, 46, 47, 45)]
    rows = case_rows(counted)
    assert [tuple(row[name] for name in CASE_COLUMNS) for row in rows] == [
        ("a", 5, 46, 2, 45, 47, "0.6000"),
        ("b", 1, 46, 1, 46, 46, "0.0000"),
    ]


def test_no_pictures_have_no_cases() -> None:
    assert case_rows([]) == []


def test_areas_follow_from_the_size_of_a_pixel() -> None:
    row: Row = {"image": "a.tif", "object_id": 3, "area_px": 250, "type": "instance"}
    area = area_row(row, size=PixelSize(0.1, height_um=0.2, said_by="ImageJ"))
    assert tuple(area) == AREA_COLUMNS
    assert [*area.values()] == ["a.tif", 3, 250, "5.0000", "0.1", "0.2", "ImageJ"]
