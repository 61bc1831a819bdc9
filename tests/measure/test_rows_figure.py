from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from supcam.measure.comparison import Compared
from supcam.measure.figures import ORANGE, save_figure
from supcam.measure.rows_figure import Dot, rows_figure

DOTS = [
    Dot("first", Compared(0.90, 0.85, 0.94), 3.0),
    Dot("second", Compared(0.80, 0.75, 0.84), None),
    Dot("third", Compared(0.85, 0.81, 0.89), 5.0),
]


def drawn(dots: list[Dot]) -> Figure:
    return rows_figure(dots, title="A table", figure_name="four types", reference="third")


def dots_of(axes: Axes) -> list[tuple[float, float]]:
    """Where the axes' dots lie."""
    places = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
    return [(float(x), float(y)) for ((x, y),) in np.asarray(places)]


def test_rows_stand_in_the_order_of_the_table_with_their_values() -> None:
    rows, _ = drawn(DOTS).axes
    names = [label.get_text() for label in rows.get_yticklabels()]
    assert names == ["third", "second", "first"], "the first row stands at the top"
    assert dots_of(rows) == [(0.85, 0), (0.80, 1), (0.90, 2)]
    lines = [part for part in rows.collections if isinstance(part, LineCollection)]
    ends = [sorted(float(x) for x, _ in np.asarray(part.get_segments()[0])) for part in lines]
    assert ends == [[0.81, 0.89], [0.75, 0.84], [0.85, 0.94]]


def test_reference_is_orange_and_a_line_through_all() -> None:
    rows, _ = drawn(DOTS).axes
    colours = [line.get_color() for line in rows.lines if line.get_marker() == "o"]
    assert [colour == ORANGE for colour in colours] == [True, False, False]
    (through,) = [line for line in rows.lines if line.get_linestyle() == "--"]
    assert set(np.asarray(through.get_xdata())) == {0.85}


def test_only_timed_rows_are_drawn_against_minutes() -> None:
    _, costs = drawn(DOTS).axes
    assert dots_of(costs) == [(5.0, 0.85), (3.0, 0.90)]


def test_row_without_an_interval_is_drawn(tmp_path: Path) -> None:
    nan = float("nan")
    path = save_figure(drawn([Dot("alone", Compared(0.9, nan, nan), 1.0)]), path=tmp_path / "one.png")
    assert cv2.imread(str(path)) is not None


def test_many_rows_make_a_high_picture() -> None:
    many = [Dot(f"row {place}", Compared(0.9, 0.8, 1.0), 1.0) for place in range(40)]
    assert drawn(many).get_size_inches()[1] > 2 * drawn(many[:10]).get_size_inches()[1]
