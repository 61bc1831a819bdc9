from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from supcam.core.types import SupcamError
from supcam.measure.familiarity import KnownLooks, fit_familiarity


def draw(rng: np.random.Generator, n: int, *, role: str = "train") -> KnownLooks:
    types = np.arange(n) % 3
    looks = rng.normal(0, 1, (n, 5)) + 4 * np.eye(5)[types]
    return KnownLooks(looks=looks, types=types, roles=(role,) * n)


def test_the_limit_keeps_its_share_of_others_and_strangers_are_beyond_it(rng: np.random.Generator) -> None:
    found = fit_familiarity(draw(rng, 600), held_out=draw(rng, 400, role="select"), keep=0.95)
    assert found.kept == pytest.approx(0.95, abs=0.01)
    assert (found.fitted_on, found.limit_on) == (("train",), ("select",))
    assert found.reference.means.shape == (3, 5)
    assert np.mean(found.reference.unfamiliarity(draw(rng, 400).looks) > 1) == pytest.approx(0.05, abs=0.04)
    assert (found.reference.unfamiliarity(rng.normal(9, 1, (50, 5))) > 1).all()


def test_a_rare_type_has_no_mean_of_its_own(rng: np.random.Generator) -> None:
    known = draw(rng, 300)
    rare = replace(known, types=np.where(np.arange(300) < 5, 3, known.types))
    assert fit_familiarity(rare, held_out=known).reference.means.shape == (3, 5)


def test_what_is_kept_for_reporting_and_what_is_too_little_is_refused(rng: np.random.Generator) -> None:
    known = draw(rng, 200)
    with pytest.raises(SupcamError, match="role report"):
        fit_familiarity(known, held_out=replace(known, roles=("report",) * 200))
    with pytest.raises(SupcamError, match="at least 100"):
        fit_familiarity(known, held_out=draw(rng, 99))
