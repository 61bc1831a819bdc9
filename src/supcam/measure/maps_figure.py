"""Maps of features side by side: a point a picture, its type as colour, its source as shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from supcam.core.types import ClusterType

TYPE_COLOURS = ("#999999", "#0072B2", "#D55E00", "#009E73")
"""Of Okabe and Ito (2008), in ``ClusterType`` order."""
TYPE_LETTERS = ("I", "T", "O", "TO")
SHAPES = "o^sDvP*X"
_COLUMNS = 2
_SIDE = 4.6


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMap:
    """One map: what stands above it, and a place, type and source for each point."""

    title: str
    points: Float[np.ndarray, "some 2"]
    types: Int[np.ndarray, " some"]
    sources: Shaped[np.ndarray, " some"]


def maps_figure(maps: Sequence[FeatureMap]) -> Figure:
    """The maps in rows of two, with one legend for all; a letter stands at the middle of each type.

    Axes have no ticks: only who lies beside whom means anything.
    """
    columns = min(_COLUMNS, len(maps))
    n_rows = -(-len(maps) // columns)
    figure = Figure(figsize=(_SIDE * columns, _SIDE * n_rows + 0.6), layout="constrained")
    sources = [str(name) for name in np.unique(np.concatenate([one.sources for one in maps]))]
    for place, one in enumerate(maps):
        _draw(figure.add_subplot(n_rows, columns, place + 1), one, sources=sources)
    figure.legend(handles=_handles(sources), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    return figure


def _draw(axes: Axes, one: FeatureMap, *, sources: Sequence[str]) -> None:
    for kind in ClusterType:
        of_type = one.types == kind
        for source, shape in zip(sources, _shapes(sources), strict=True):
            x, y = one.points[of_type & (one.sources == source)].T
            single = kind is ClusterType.INSTANCE
            axes.scatter(
                x, y, s=10 if single else 26, c=TYPE_COLOURS[kind], marker=shape, linewidths=0.3,
                edgecolors="white", alpha=0.6 if single else 0.9,
            )  # fmt: skip
    for kind in ClusterType:
        if np.any(one.types == kind):
            x, y = np.median(one.points[one.types == kind], axis=0)
            halo = [withStroke(linewidth=3, foreground="white")]
            axes.text(x, y, TYPE_LETTERS[kind], ha="center", va="center", weight="bold", path_effects=halo)
    axes.set(xticks=[], yticks=[])
    axes.set_title(one.title, fontsize=9)


def _handles(sources: Sequence[str]) -> list[Line2D]:
    types = [
        _handle(TYPE_COLOURS[kind], shape="o", label=f"{TYPE_LETTERS[kind]}: {kind.label.replace('_', '-')}")
        for kind in ClusterType
    ]
    shapes = zip(sources, _shapes(sources), strict=True)
    return types + [_handle("black", shape=shape, label=source) for source, shape in shapes]


def _handle(colour: str, *, shape: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=shape, linestyle="", markersize=6, label=label)


def _shapes(sources: Sequence[str]) -> list[str]:
    """A shape for each source; they come again where there are more sources than shapes."""
    return [SHAPES[place % len(SHAPES)] for place in range(len(sources))]
