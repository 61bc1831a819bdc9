from __future__ import annotations

import importlib
import io
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from supcam.core.types import SupcamError
from supcam.measure import figures
from supcam.measure.metrics import confusion
from supcam.measure.table import PredictionTable


def as_png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=40)
    return stream.getvalue()


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def all_figures(table: PredictionTable, *, threshold: float = 0.8) -> list[Figure]:
    matrix = confusion(table.true_types, predicted=table.predicted_types)
    confidence, correct = table.confidence, table.correct
    return [
        figures.confusion_figure(matrix, title="made-up, role select"),
        figures.reliability_figure(confidence, correct=correct, title="made-up, role select"),
        figures.risk_coverage_figure(
            confidence, correct=correct, threshold=threshold, title="made-up, role select"
        ),
        figures.confidence_figure(
            confidence, correct=correct, threshold=threshold, title="made-up, role select"
        ),
    ]


def test_every_figure_is_drawn_and_names_the_role(table: PredictionTable) -> None:
    for figure in all_figures(table):
        assert as_png(figure).startswith(b"\x89PNG")
        assert "role select" in words(figure)


@pytest.mark.parametrize("n_rows", [0, 1, 2])
def test_figures_of_few_pictures_are_drawn_without_a_warning(table: PredictionTable, n_rows: int) -> None:
    for figure in all_figures(table.take(np.arange(n_rows)), threshold=1.01):
        assert as_png(figure)


def test_confusion_picture_shows_every_count(table: PredictionTable) -> None:
    matrix = confusion(table.true_types, predicted=table.predicted_types)
    shown = words(figures.confusion_figure(matrix, title="t"))
    for true, read in np.ndindex(4, 4):
        count = matrix[true, read]
        expected = f"{count}\n{count / matrix[true].sum():.1%}" if count else "0"
        assert expected in shown
    assert f"(n = {matrix[2].sum()})" in shown


def test_risk_and_coverage_against_a_plain_loop(table: PredictionTable) -> None:
    confidence = np.round(table.confidence, 1)
    coverage, risk = figures.risk_coverage(confidence, correct=table.correct)
    thresholds = sorted(set(confidence), reverse=True)
    assert len(coverage) == len(risk) == len(thresholds) > 3
    for threshold, share, error in zip(thresholds, coverage, risk, strict=True):
        accepted = [right for c, right in zip(confidence, table.correct, strict=True) if c >= threshold]
        assert share == pytest.approx(len(accepted) / len(table))
        assert error == pytest.approx(1 - sum(accepted) / len(accepted))


@pytest.mark.parametrize(("successes", "of"), [(0, 10), (3, 10), (10, 10), (1, 1), (500, 1000)])
def test_wilson_interval_solves_its_equation(successes: int, of: int) -> None:
    """Its ends are the shares p from which the observed one lies 1.96 standard errors of p away."""
    share = successes / of
    for end in figures.wilson_interval(successes, of=of):
        assert 0 <= end <= 1
        if 1e-9 < end < 1 - 1e-9:
            assert abs(end - share) / np.sqrt(end * (1 - end) / of) == pytest.approx(1.959964, rel=1e-6)


def test_wilson_interval_of_nothing_says_nothing() -> None:
    assert figures.wilson_interval(0, of=0) == (0.0, 1.0)


def test_contact_sheet_holds_pictures_of_any_shape_and_awkward_captions() -> None:
    shapes = [(1, 1), (3, 200), (200, 3), (40, 40)] * 2
    tiles = [
        figures.Tile(np.full(shape, 128, np.uint8), caption="price_$5_and_$6\n染 <b>") for shape in shapes
    ]
    (sheet,) = figures.contact_sheets(tiles, title="mistakes of 染")
    assert as_png(sheet)
    assert len(sheet.axes) == len(tiles)


@pytest.mark.parametrize(("n_tiles", "sizes"), [(0, []), (24, [24]), (25, [24, 1])])
def test_contact_sheets_hold_every_picture_once(n_tiles: int, sizes: list[int]) -> None:
    tiles = [figures.Tile(np.zeros((2, 2), np.uint8), caption=f"tile {n}.") for n in range(n_tiles)]
    sheets = list(figures.contact_sheets(tiles, title="mistakes"))
    assert [len(sheet.axes) for sheet in sheets] == sizes
    shown = "\n".join(words(sheet) for sheet in sheets)
    assert all(shown.count(tile.caption) == 1 for tile in tiles)


def test_nothing_global_is_touched(table: PredictionTable) -> None:
    before = dict(mpl.rcParams)
    for figure in all_figures(table):
        as_png(figure)
    assert dict(mpl.rcParams) == before


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib.axes", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "supcam.measure.figures")
    with pytest.raises(SupcamError, match=r"supcam\[measure\]"):
        importlib.import_module("supcam.measure.figures")
