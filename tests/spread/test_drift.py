"""Drift: what is shifted is told, what is alike is not, few pictures need a larger difference."""

import numpy as np
import pytest

from supcam.pack.reference import KnownPicture, Reference
from supcam.spread.drift import compare, embedding_distance
from supcam.spread.measures import Measured


def _values(rng: np.random.Generator, *, width: float = 12.0) -> dict[str, float]:
    return {"width_px": rng.normal(width, 1.0), "contrast": rng.normal(0.4, 0.05)}


@pytest.fixture(scope="module")
def known() -> Reference:
    rng = np.random.default_rng(2)
    pictures = tuple(KnownPicture(case=n // 2, values=_values(rng)) for n in range(40))
    return Reference(embedding_mean=(0.0, 1.0), embedding_spread=(1.0, 2.0), pictures=pictures)


def _new(n: int, *, width: float) -> list[Measured]:
    rng = np.random.default_rng(9)
    return [Measured(str(i), str(i), _values(rng, width=width)) for i in range(n)]


def test_only_what_differs_is_told_in_words(known: Reference) -> None:
    drift = compare(_new(12, width=18.0), reference=known)
    assert [one.measure for one in drift.told_ones] == ["width_px"]
    (told,) = drift.told_ones
    assert told.verdict == "differs strongly"
    assert "width of a chromosome" in told.told()
    assert "higher" in told.told()
    assert any("supcam adapt" in line for line in drift.lines())


def test_pictures_of_the_known_laboratory_raise_no_alarm(known: Reference) -> None:
    drift = compare(_new(12, width=12.0), reference=known)
    assert not drift.told_ones
    assert "nothing differs" in drift.lines()[0]


def test_few_pictures_need_a_larger_difference(known: Reference) -> None:
    few, many = (compare(_new(n, width=12.0), reference=known).differences[0] for n in (3, 30))
    assert few.threshold > many.threshold


def test_what_is_not_in_every_picture_is_named_as_not_compared(known: Reference) -> None:
    bare = [Measured("a", "a", {"width_px": 12.0})] * 3
    drift = compare(bare, reference=known)
    assert [one.measure for one in drift.differences] == ["width_px"]
    assert drift.missing == ("strength of the stain",)


def test_the_embeddings_distance_is_one_where_all_lie_one_deviation_off(known: Reference) -> None:
    seen = np.array([[1.0, 3.0], [-1.0, -1.0]])
    assert embedding_distance(seen, reference=known) == pytest.approx(1.0)
