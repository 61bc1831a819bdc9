from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.mistaken import N_ROWS, mistaken_table

from supcam.core.config import ImageConfig
from supcam.core.types import Box, Sample
from supcam.measure.figures import Tile
from supcam.measure.table import PredictionTable
from supcam.pack import mistakes


@pytest.fixture
def table() -> PredictionTable:
    return mistaken_table()


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    made: list[Sample] = []
    for row in range(N_ROWS):
        path = tmp_path / f"{row}.png"
        cv2.imwrite(str(path), np.full((30, 40), 40 * row, np.uint8))
        made.append(Sample(path=path, case="c", source="s", box=Box(0, 0, 10, 20) if row == 1 else None))
    return made


def test_captions_say_what_is_true_and_what_was_read(table: PredictionTable) -> None:
    captions = [mistakes.caption(table, row=row) for row in range(N_ROWS)]
    assert captions[1] == "folder/1.png\noverlapping, 2\nread touching, 2 (0.80)"
    assert captions[3].endswith("read no chromosome (0.99)")
    assert "type unknown, 4" in captions[4]
    long = replace(table, paths=np.full(N_ROWS, "x" * 80 + "/the_end_of_it.png"))
    line = mistakes.caption(long, row=0).splitlines()[0]
    assert line.endswith("the_end_of_it.png")
    assert len(line) == 34


def test_sheets_are_written_where_version_control_looks_away(
    table: PredictionTable, samples: list[Sample], tmp_path: Path
) -> None:
    output = tmp_path / "report"
    stale = output / "mistakes" / "types_09.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    paths = mistakes.write_mistakes(
        table, samples=samples, output=output, title="tiny, role select", image=ImageConfig()
    )
    assert [path.name for path in paths] == ["types_01.png", "numbers_01.png"]
    assert not stale.exists()
    assert (output / "mistakes" / ".gitignore").read_text(encoding="utf-8") == "*\n"
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_no_more_tiles_than_the_sheets_have_room_for(
    table: PredictionTable, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    def sheets(tiles: list[Tile], *, title: str) -> list[Figure]:
        assert title.startswith("t: ")
        drawn.extend(tile.caption.splitlines()[0] for tile in tiles)
        return []

    monkeypatch.setattr(mistakes, "contact_sheets", sheets)
    monkeypatch.setattr(mistakes, "MOST_TILES", 2)
    mistakes.write_mistakes(table, samples=samples, output=tmp_path, title="t", image=ImageConfig())
    assert drawn == ["folder/3.png", "folder/5.png", "folder/2.png", "folder/4.png"]


def test_no_mistakes_no_sheets(table: PredictionTable, samples: list[Sample], tmp_path: Path) -> None:
    right = table.take(np.zeros(1, np.int64))
    paths = mistakes.write_mistakes(
        right, samples=samples[:1], output=tmp_path / "report", title="t", image=ImageConfig()
    )
    assert paths == ()
