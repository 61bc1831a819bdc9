from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from supcam.measure.maps_figure import SHAPES, TYPE_COLOURS, FeatureMap, maps_figure


def one_map(title: str = "a map", *, n_sources: int = 2) -> FeatureMap:
    """A point for every type of every source."""
    types, sources = (place.ravel() for place in np.meshgrid(np.arange(4), np.arange(n_sources)))
    return FeatureMap(
        title=title,
        points=np.column_stack([types, sources]).astype(float),
        types=types,
        sources=np.array([f"s{source}" for source in sources]),
    )


def drawn(figure: Figure) -> list[tuple[tuple[float, float], str]]:
    """Place and colour of every point on the first map."""
    return [
        ((float(x), float(y)), to_hex(part.get_facecolor()[0][:3]).upper())  # type: ignore[index]
        for part in figure.axes[0].collections
        for x, y in np.asarray(part.get_offsets())
    ]


def test_every_point_is_drawn_once_in_the_colour_of_its_type() -> None:
    points = drawn(maps_figure([one_map()]))
    assert sorted(place for place, _ in points) == [(x, y) for x in range(4) for y in range(2)]
    assert all(colour == TYPE_COLOURS[int(x)] for (x, _), colour in points)


def test_legend_names_types_and_sources_each_source_with_a_shape_of_its_own() -> None:
    figure = maps_figure([one_map(n_sources=3)])
    (legend,) = figure.legends
    told = {
        text.get_text(): line.get_marker()
        for text, line in zip(legend.texts, legend.get_lines(), strict=True)
    }
    assert [*told][:4] == ["I: instance", "T: touching", "O: overlapping", "TO: touching-overlapping"]
    assert [told[name] for name in ("s0", "s1", "s2")] == [*SHAPES[:3]]


@pytest.mark.parametrize(("n", "shape"), [(1, (1, 1)), (2, (1, 2)), (3, (2, 2)), (5, (3, 2))])
def test_maps_stand_in_rows_of_two(n: int, shape: tuple[int, int]) -> None:
    figure = maps_figure([one_map(f"map {place}") for place in range(n)])
    assert [axes.get_title() for axes in figure.axes] == [f"map {place}" for place in range(n)]
    grid = figure.axes[0].get_subplotspec()
    assert grid is not None
    assert grid.get_gridspec().get_geometry() == shape


def test_letters_stand_at_the_middle_of_the_types_that_there_are() -> None:
    whole = one_map()
    some = whole.types != 3
    figure = maps_figure([FeatureMap("m", whole.points[some], whole.types[some], whole.sources[some])])
    letters = {text.get_text(): text.get_position() for text in figure.axes[0].texts}
    assert letters == {"I": (0, 0.5), "T": (1, 0.5), "O": (2, 0.5)}


def test_more_sources_than_shapes_can_be_drawn() -> None:
    assert len(drawn(maps_figure([one_map(n_sources=len(SHAPES) + 2)]))) == 4 * (len(SHAPES) + 2)
