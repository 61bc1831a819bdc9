from __future__ import annotations

import json

import numpy as np
import pytest

from supcam.core.types import BundleError, ConfigError
from supcam.pack.card import Calibration
from supcam.pack.terms import (
    PRIORS,
    Terms,
    make_terms,
    meet,
    parse_prior,
    promise_of,
    promise_table,
    shift_of,
)

MIX = (0.4, 0.3, 0.2, 0.1)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """A thousand answers drawn from their own probabilities: calibrated by construction."""
    rng = np.random.default_rng(5)
    types = rng.choice(4, 1000, p=MIX)
    logits = 3.0 * np.eye(4)[types] + rng.normal(0, 1, (1000, 4)) + np.log(MIX)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = tuple((int(kind), *map(float, row)) for kind, row in zip(types, probabilities, strict=True))
    return Calibration.model_validate(
        {"accept_threshold": 0.7, "max_error": 0.05, "calibration_prior": MIX, "evidence": rows}
    )


def test_named_mixes_sum_to_one_and_numbers_may_be_any_multiple() -> None:
    assert all(sum(shares) == pytest.approx(1) for shares in PRIORS.values())
    assert parse_prior("metaphase") == PRIORS["metaphase"]
    assert parse_prior("7,2,0.5,0.5") == pytest.approx((0.7, 0.2, 0.05, 0.05))
    assert parse_prior([1, 1, 1, 1]) == (0.25,) * 4
    assert parse_prior(None) is None


@pytest.mark.parametrize("prior", ["metaphases", "1,2,3", "1,1,1,0", "nan,1,1,1", "-1,1,1,1", "0,0,0,0"])
def test_another_mix_is_refused(prior: str) -> None:
    with pytest.raises(ConfigError, match="mix of types"):
        parse_prior(prior)


@pytest.mark.parametrize("max_error", [0.0, 1.0, -0.1])
def test_an_error_that_means_nothing_is_refused(max_error: float) -> None:
    with pytest.raises(ConfigError, match="largest error"):
        make_terms(max_error=max_error)


def test_without_terms_nothing_changes(calibration: Calibration) -> None:
    assert meet(calibration, terms=Terms()) is calibration
    assert meet(Calibration(), terms=Terms()) == Calibration()
    assert promise_of(calibration, terms=Terms()).threshold == 0.7


def test_the_same_mix_changes_no_probability(calibration: Calibration) -> None:
    assert shift_of(calibration, terms=Terms(prior=MIX)) == pytest.approx((1,) * 4)


def test_a_mix_multiplies_what_the_model_had(calibration: Calibration) -> None:
    terms = make_terms(prior=(0.1, 0.3, 0.2, 0.4))
    assert meet(calibration, terms=terms).prior == pytest.approx((0.25, 1, 1, 4))
    doubled = calibration.model_copy(update={"prior": (2.0, 1.0, 1.0, 1.0)})
    assert meet(doubled, terms=terms).prior == pytest.approx((0.5, 1, 1, 4))


def test_a_limit_of_error_is_kept_and_shown_by_type(calibration: Calibration) -> None:
    terms = make_terms(max_error=0.04)
    promise = promise_of(calibration, terms=terms)
    rows = {row.name: row for row in promise.rows}
    assert promise.is_shown
    assert rows["all"].accepted.bound < 0.04
    assert meet(calibration, terms=terms).accept_threshold == promise.threshold
    types = [rows[name] for name in ("instance", "touching", "overlapping", "touching_overlapping")]
    assert sum(row.n_read for row in types) == rows["all"].n_read == 1000
    assert sum(row.accepted.n for row in types[1:]) == rows["clusters"].accepted.n
    assert "no threshold" not in promise.told()
    assert len(promise_table(promise).splitlines()) == 9
    assert json.loads(json.dumps(promise.to_json()))["by_type"][0]["n_accepted"] == rows["all"].accepted.n


def test_what_cannot_be_shown_is_said(calibration: Calibration) -> None:
    promise = promise_of(calibration, terms=make_terms(max_error=0.0001))
    assert not promise.is_shown
    assert promise.told().startswith("no threshold shows an error below 0.01%; the tightest")


def test_a_mix_alone_keeps_the_models_own_rule(calibration: Calibration) -> None:
    promise = promise_of(calibration, terms=make_terms(prior=(0.1, 0.2, 0.3, 0.4)))
    assert promise.rows[0].accepted.error <= 0.05
    assert 0 < promise.share < 1


def test_a_model_without_its_answers_meets_no_terms() -> None:
    for terms in (make_terms(max_error=0.1), make_terms(prior="metaphase")):
        with pytest.raises(BundleError, match="does not say"):
            meet(Calibration(), terms=terms)
