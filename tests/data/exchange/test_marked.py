from __future__ import annotations

from pathlib import Path

import pytest

from supcam.core.types import Box, ManifestError
from supcam.data.exchange.marked import (
    MarkError,
    check_size,
    count_of,
    kind_of,
    parse_json,
    read_limited,
    whole_box,
)


@pytest.mark.parametrize(
    ("label", "kind"),
    [("Touching-Overlapping", "touching_overlapping"), (" REJECTED ", "rejected"), ("instance", "instance")],
)
def test_labels_mean_one_of_the_types_or_no_chromosome(label: str, kind: str) -> None:
    assert kind_of(label) == kind


def test_other_labels_are_refused() -> None:
    with pytest.raises(MarkError, match="'A1'"):
        kind_of("A1")


@pytest.mark.parametrize(
    ("said", "kind", "count"),
    [
        (3, "touching", 3),
        ("3", "touching", 3),
        (2.0, "overlapping", 2),
        (None, "touching", None),
        ("", "touching", None),
        (1, "touching", None),
        (0, "touching", None),
        (4, "instance", 1),
        (None, "instance", 1),
        (2, "rejected", None),
    ],
)
def test_numbers_go_with_their_type(said: object, kind: str, count: int | None) -> None:
    assert count_of(said, kind=kind) == count


@pytest.mark.parametrize("said", ["many", -1, 1.5, float("nan"), 1e9, "1e400", [2]])
def test_what_is_no_number_of_chromosomes(said: object) -> None:
    with pytest.raises(MarkError, match="chromosomes"):
        count_of(said, kind="touching")


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (100_001, 1), (100_000, 100_000)])
def test_pictures_that_cannot_be(size: tuple[int, int]) -> None:
    with pytest.raises(MarkError, match="pixels"):
        check_size(height=size[0], width=size[1])


def test_boxes_are_clipped_to_the_picture() -> None:
    assert whole_box((-3.0, 1.5, 4.2, 99.0), height=10, width=20) == Box(1, left=0, bottom=10, right=5)
    with pytest.raises(MarkError, match="box"):
        whole_box((5.0, 5.0, 5.0, 6.0), height=10, width=20)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected COCO"):
        read_limited(tmp_path / "none.json")
    for content in (b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(ManifestError, match="no JSON"):
            parse_json(content, path=tmp_path)
