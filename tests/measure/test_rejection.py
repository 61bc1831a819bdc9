from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supcam.core.types import SupcamError
from supcam.measure.rejection import LEAST_OBJECTS, Chances, fit_rejection


def table(seed: int = 0, *, n: int = 200, role: str = "select") -> Chances:
    """Objects whose probabilities repeat, since networks saturate."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, 4, n)
    chances = np.round(np.clip(rng.normal(0.3 + 0.2 * (numbers > 0), 0.2, n), 0, 1), 2)
    return Chances(chances=chances, n_chromosomes=numbers, roles=(role,) * n)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.floats(0.6, 1))
def test_the_threshold_is_the_highest_that_keeps_enough(seed: int, keep: float) -> None:
    known = table(seed)
    fitted = fit_rejection(known, keep=keep)
    total = known.n_chromosomes.sum()

    def kept(threshold: float) -> float:
        return float(known.n_chromosomes[known.chances >= threshold].sum() / total)

    assert kept(fitted.threshold) == pytest.approx(fitted.chromosomes_kept)
    assert fitted.chromosomes_kept >= keep - 1e-9
    higher = known.chances[(known.chances > fitted.threshold) & (known.n_chromosomes > 0)]
    if higher.size:
        assert kept(float(higher.min())) < keep
    others = known.n_chromosomes == 0
    assert fitted.others_rejected == pytest.approx(float((known.chances[others] < fitted.threshold).mean()))
    assert fitted.fitted_on == ("select",)


def test_the_role_that_is_reported_is_kept_back() -> None:
    with pytest.raises(SupcamError, match="report"):
        fit_rejection(table(role="report"))


def test_a_few_objects_fix_nothing() -> None:
    with pytest.raises(SupcamError, match=f"at least {LEAST_OBJECTS}"):
        fit_rejection(table(n=40))
