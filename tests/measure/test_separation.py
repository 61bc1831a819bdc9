from __future__ import annotations

import numpy as np
import pytest

from supcam.core.types import ClusterType, SupcamError
from supcam.measure.separation import (
    Embedded,
    Reducer,
    drawn_rows,
    flat,
    laboratory_read,
    read_by_neighbours,
    silhouettes_by_type,
)

DIM = 6
N_CASES = 4
N_EACH = 8


def embedded(*, by_type: float = 0.0, by_source: float = 0.0, by_case: float = 0.0) -> Embedded:
    """Two laboratories of two cases each, eight pictures of every type in each case: noise of deviation 1
    around a place that type, source and case move, each along axes of its own."""
    rng = np.random.default_rng(3)
    cases = np.repeat(np.arange(N_CASES), 4 * N_EACH)
    types = np.tile(np.repeat(np.arange(4), N_EACH), N_CASES)
    features = rng.normal(size=(len(types), DIM))
    features[:, :2] += by_type * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[types]
    features[:, 2] += by_source * np.where(cases < 2, 1, -1)
    features[:, 3:5] += by_case * np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])[cases]
    sources = np.where(cases < 2, "one", "two")
    return Embedded(features, types=types, sources=sources, cases=np.array([f"c{case}" for case in cases]))


def test_silhouettes_tell_types_apart_from_types_mixed() -> None:
    apart, mixed = silhouettes_by_type(embedded(by_type=30.0)), silhouettes_by_type(embedded())
    assert set(apart) == set(ClusterType)
    assert min(apart.values()) > 0.8
    assert all(abs(value) < 0.1 for value in mixed.values())


def test_silhouette_is_that_of_the_definition() -> None:
    """Against plain loops, on unit vectors seen from the mean."""
    known = embedded(by_type=1.0)
    centred = known.features - known.features.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1)[:, None]
    values = []
    for row in np.flatnonzero(known.types == 2):
        far = np.linalg.norm(unit - unit[row], axis=1)
        own = far[known.types == 2].sum() / (np.sum(known.types == 2) - 1)
        other = min(far[known.types == kind].mean() for kind in (0, 1, 3))
        values.append((other - own) / max(own, other))
    assert silhouettes_by_type(known)[ClusterType.OVERLAPPING] == pytest.approx(np.mean(values))


def test_neighbours_read_types_that_lie_apart() -> None:
    table = read_by_neighbours(embedded(by_type=30.0), neighbours=3)
    assert table.correct.all()
    assert 0.1 < read_by_neighbours(embedded(), neighbours=3).correct.mean() < 0.4


def test_no_picture_is_read_by_its_own_case() -> None:
    """Cases lie far apart, and in each of them all pictures are of one type: the own case would tell it."""
    known = embedded(by_case=50.0)
    rows = (known.types == 0) == (np.char.find(known.cases, "c0") >= 0)
    some = Embedded(known.features[rows], known.types[rows], known.sources[rows], known.cases[rows])
    of_first = some.cases == "c0"
    assert of_first.sum() == N_EACH
    assert not read_by_neighbours(some, neighbours=3).correct[of_first].any()


def test_more_neighbours_than_other_cases_have_pictures_are_as_many_as_there_are() -> None:
    assert len(read_by_neighbours(embedded(), neighbours=10_000)) == N_CASES * 4 * N_EACH


def test_laboratory_is_read_where_it_shows_and_not_by_the_mix_of_types() -> None:
    assert laboratory_read(embedded(by_source=20.0)) == 1.0
    unlike = embedded(by_type=30.0)
    mix = (unlike.types == 0) | ((unlike.types == 1) == (unlike.sources == "one"))
    some = Embedded(unlike.features[mix], unlike.types[mix], unlike.sources[mix], unlike.cases[mix])
    hidden = laboratory_read(some)
    assert hidden is not None
    assert hidden < 0.75


def test_single_laboratory_cannot_be_read() -> None:
    known = embedded()
    one = known.sources == "one"
    assert (
        laboratory_read(Embedded(known.features[one], known.types[one], known.sources[one], known.cases[one]))
        is None
    )


def test_at_most_so_many_of_each_type_and_source_are_taken_always_the_same() -> None:
    known = embedded()
    types, sources = known.types, known.sources

    def drawn(most: int) -> np.ndarray:
        return drawn_rows(types, sources=sources, most=most, rng=np.random.default_rng(1))

    rows = drawn(5)
    assert rows.tolist() == sorted(set(rows.tolist()))
    for source in ("one", "two"):
        for kind in range(4):
            assert np.sum((sources[rows] == source) & (types[rows] == kind)) == 5
    np.testing.assert_array_equal(rows, drawn(5))
    assert drawn(1000).tolist() == [*range(len(types))]


@pytest.mark.parametrize("how", ["tsne", "pca"])
def test_map_keeps_types_apart_and_is_the_same_each_time(how: Reducer) -> None:
    known = embedded(by_type=30.0)
    places = flat(known, how=how, seed=0)
    assert places.shape == (len(known.types), 2)
    np.testing.assert_array_equal(places, flat(known, how=how, seed=0))
    far = np.linalg.norm(places[:, None] - places[None], axis=2) + np.where(np.eye(len(places)), np.inf, 0)
    assert np.all(known.types[far.argmin(axis=1)] == known.types)


def test_feature_that_lies_in_the_mean_has_no_direction() -> None:
    known = Embedded(
        np.array([[1.0, 0], [-1, 0], [0, 0]]),
        np.array([0, 1, 1]),
        np.array(["s"] * 3),
        np.array(["a", "b", "b"]),
    )
    np.testing.assert_array_equal(known.directions, [[1, 0], [-1, 0], [0, 0]])


@pytest.mark.parametrize("alike", ["types", "cases"])
def test_nothing_to_tell_apart_is_refused(alike: str) -> None:
    columns = {"types": np.array([0, 1]), "cases": np.array(["a", "b"])}
    columns[alike] = columns[alike][[0, 0]]
    with pytest.raises(SupcamError, match="at least two types"):
        Embedded(np.eye(2), sources=np.array(["s", "s"]), **columns)
