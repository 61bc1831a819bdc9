"""Sheets of the pictures that were read wrongly: what a person should look at before trusting a figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.image import read_grey
from supcam.core.types import Sample
from supcam.measure.figures import Tile, contact_sheets, save_figure
from supcam.measure.mistake_table import read_words, surest, true_words, wrong_counts, wrong_types
from supcam.measure.table import PredictionTable

FOLDER = "mistakes"
MOST_TILES = 240
_CAPTION_LETTERS = 34


def write_mistakes(
    table: PredictionTable, *, samples: Sequence[Sample], output: Path, title: str, image: ImageConfig
) -> tuple[Path, ...]:
    """The sheets now in ``output/mistakes``: wrong types, and right types with a wrong number.

    ``samples`` are the rows of ``table``. The surest mistakes come first, at most ``MOST_TILES`` of each
    kind. Sheets of an earlier evaluation are taken away. The folder tells version control to ignore it: it
    holds pictures of patients' chromosomes. Raises ``ImageError`` when a picture cannot be read any more.
    """
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    for old in folder.glob("*.png"):
        old.unlink()
    paths: list[Path] = []
    for kind, wrong in (("types", wrong_types(table)), ("numbers", wrong_counts(table))):
        shown = surest(table, rows=wrong)[:MOST_TILES]
        tiles = [_tile(table, row=row, sample=samples[row], image=image) for row in shown]
        heading = f"{title}: {int(wrong.sum())} of {len(table)} {kind} read wrongly, surest first"
        for number, sheet in enumerate(contact_sheets(tiles, title=heading), start=1):
            paths.append(save_figure(sheet, path=folder / f"{kind}_{number:02d}.png"))
    return tuple(paths)


def caption(table: PredictionTable, *, row: int) -> str:
    """Three lines: the end of the path, what is true, and what was read with which confidence."""
    path = str(table.paths[row])
    path = path if len(path) <= _CAPTION_LETTERS else "..." + path[3 - _CAPTION_LETTERS :]
    true, read = true_words(table, row=row), read_words(table, row=row)
    return f"{path}\n{true}\nread {read} ({table.confidence[row]:.2f})"


def _tile(table: PredictionTable, *, row: int, sample: Sample, image: ImageConfig) -> Tile:
    grey = read_grey(sample.path, config=image)
    pixels = grey.pixels if sample.box is None else grey.pixels[sample.box.slices]
    shown = np.clip(np.rint(255 * pixels / max(grey.white, 1e-9)), 0, 255).astype(np.uint8)
    return Tile(picture=shown, caption=caption(table, row=row))
