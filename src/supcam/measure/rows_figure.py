"""Pictures of a comparison: a dot with its interval for each row, and accuracy against what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from supcam.measure.comparison import Compared
from supcam.measure.figures import BLUE, GREY, ORANGE

_HEIGHT = 0.30


@dataclass(frozen=True, slots=True)
class Dot:
    """One row: what it is called, its figure, and the minutes that one run took, if known."""

    name: str
    figure: Compared
    minutes: float | None


def rows_figure(dots: Sequence[Dot], *, title: str, figure_name: str, reference: str) -> Figure:
    """Rows below each other with their 95 % intervals; beside them the same against minutes of one run.

    The row named ``reference`` is orange and its value a line through all others.
    """
    figure = Figure(figsize=(11.5, 1.6 + _HEIGHT * len(dots)), layout="constrained")
    rows, costs = figure.subplots(1, 2, sharex=False, width_ratios=(3, 2))
    for place, dot in enumerate(reversed(dots)):
        colour = ORANGE if dot.name == reference else BLUE
        rows.hlines(place, dot.figure.low, dot.figure.high, color=colour, linewidth=1.6)
        rows.plot([dot.figure.value], [place], "o", color=colour, markersize=5)
        if dot.name == reference:
            rows.axvline(dot.figure.value, color=GREY, linewidth=0.8, linestyle="--")
        if dot.minutes is not None:
            costs.plot([dot.minutes], [dot.figure.value], "o", color=colour, markersize=5)
            costs.vlines(dot.minutes, dot.figure.low, dot.figure.high, color=colour, linewidth=0.8, alpha=0.5)
    rows.set_yticks(range(len(dots)), [dot.name for dot in reversed(dots)], fontsize=8)
    rows.set(xlabel=f"{figure_name}, 95 % interval by case", title=title)
    costs.set(xlabel="minutes of one run (both steps)", ylabel=figure_name)
    for axes in (rows, costs):
        axes.grid(visible=True, linewidth=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure
