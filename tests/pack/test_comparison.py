"""The judge between shipped and trained network: lets ties pass, stops everything else."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest
from tests.tiny_bundle import COUNTS, DIM, SIZE_PX, tiny_model

from supcam.core.types import BundleError
from supcam.pack.card import Calibration, CardText, HeadsTrained
from supcam.pack.comparison import BATCH_SIZES, TIE, Tolerance, Trained, compare, run_batches
from supcam.pack.folder import OUTPUT_NAMES, Outputs
from supcam.pack.session import Tensor, open_session

N_PICTURES = 20


class Recorded:
    """A session that answers with given outputs, and remembers in which batches it was asked."""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs
        self.asked: list[int] = []
        self.at = 0

    def get_inputs(self) -> list[Tensor]:
        return []

    def get_outputs(self) -> list[Tensor]:
        return []

    def run(self, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        n = len(feed["picture"])
        self.asked.append(n)
        rows = slice(self.at, self.at + n)
        self.at = (self.at + n) % N_PICTURES
        return [getattr(self.outputs, name)[rows] for name in names]


@pytest.fixture
def trained(rng: np.random.Generator) -> Trained:
    """Twenty sure answers: the logit of one type and one number stands out."""
    type_logits = rng.normal(0, 0.1, (N_PICTURES, 4))
    type_logits[np.arange(N_PICTURES), np.arange(N_PICTURES) % 4] += 6
    count_logits = rng.normal(0, 0.1, (N_PICTURES, COUNTS))
    count_logits[np.arange(N_PICTURES), np.arange(N_PICTURES) % 4] += 6
    outputs = Outputs(
        type_logits=type_logits.astype(np.float32),
        count_logits=count_logits.astype(np.float32),
        chromosome_logit=np.ones((N_PICTURES, 1), np.float32),
        embedding=rng.random((N_PICTURES, DIM), dtype=np.float32),
        type_map=rng.random((N_PICTURES, 4, 3, 3), dtype=np.float32),
    )
    return Trained(
        pictures=rng.random((N_PICTURES, 1, SIZE_PX, SIZE_PX), dtype=np.float32),
        outputs=outputs,
        text=CardText(),
        calibration=Calibration(accept_threshold=0.9),
    )


def moved(trained: Trained, name: str, *, by: float) -> Outputs:
    values = {each: getattr(trained.outputs, each).copy() for each in OUTPUT_NAMES}
    values[name].reshape(-1)[0] += np.float32(by)
    return Outputs(**values)


def test_the_same_outputs_compare_as_the_same(trained: Trained) -> None:
    session = Recorded(trained.outputs)
    comparison = compare(session, trained=trained, tolerance=Tolerance(output=1e-9))
    assert comparison.n_pictures == N_PICTURES
    assert comparison.batch_sizes == BATCH_SIZES == (1, 3, 16)
    assert comparison.largest_difference == 0
    assert comparison.changed_decisions == 0
    assert session.asked == [1] * 20 + [3] * 6 + [2] + [16, 4]


@pytest.mark.parametrize("name", OUTPUT_NAMES)
def test_every_output_is_held_to_the_tolerance(trained: Trained, name: str) -> None:
    scale = 1 + float(np.abs(getattr(trained.outputs, name)).max())
    within = compare(
        Recorded(moved(trained, name, by=0.9e-3 * scale)), trained=trained, tolerance=Tolerance(output=1e-3)
    )
    assert within.largest_difference == pytest.approx(0.9e-3, rel=0.01)
    with pytest.raises(BundleError, match=name):
        compare(
            Recorded(moved(trained, name, by=1.2e-3 * scale)),
            trained=trained,
            tolerance=Tolerance(output=1e-3),
        )


def test_an_output_that_is_no_number_is_beyond_every_tolerance(trained: Trained) -> None:
    with pytest.raises(BundleError, match="embedding"):
        compare(
            Recorded(moved(trained, "embedding", by=float("nan"))),
            trained=trained,
            tolerance=Tolerance(output=1e9),
        )


def test_a_changed_decision_stops_the_export(trained: Trained) -> None:
    """The first picture reads as instance without a count head, and as touching once that logit is gone."""
    heads = HeadsTrained(count=False)
    turned = dataclasses.replace(trained, text=CardText(heads_trained=heads), calibration=Calibration())
    with pytest.raises(
        BundleError,
        match=r"changed from instance, 1, review to (touching|overlapping|touching_overlapping), 2, review",
    ):
        compare(
            Recorded(moved(turned, "type_logits", by=-20.0)), trained=turned, tolerance=Tolerance(output=10)
        )


def test_a_tie_may_fall_either_way(trained: Trained) -> None:
    """The first picture lies just above the threshold; a breath moves it just below."""
    first = trained.predictions(trained.outputs)[0]
    tied = dataclasses.replace(trained, calibration=Calibration(accept_threshold=first.confidence))
    comparison = compare(
        Recorded(moved(tied, "type_logits", by=-0.01)), trained=tied, tolerance=Tolerance(output=0.01)
    )
    assert comparison.changed_decisions >= 1
    assert 0 < comparison.largest_probability_difference < TIE


def test_many_changed_decisions_stop_the_export_of_integers(trained: Trained) -> None:
    heads = HeadsTrained(count=False)
    turned = dataclasses.replace(trained, text=CardText(heads_trained=heads), calibration=Calibration())
    session = Recorded(moved(turned, "type_logits", by=-20.0))
    few = compare(session, trained=turned, tolerance=Tolerance(output=10, tie=1, changed=1 / N_PICTURES))
    assert few.changed_decisions == 1
    with pytest.raises(BundleError, match=f"1 of {N_PICTURES} decisions"):
        compare(session, trained=turned, tolerance=Tolerance(output=10, tie=1, changed=0.5 / N_PICTURES))


def test_batches_of_a_real_network_agree(rng: np.random.Generator) -> None:
    session = open_session(tiny_model().SerializeToString(), threads=1, where="tiny")
    pictures = rng.random((7, 1, SIZE_PX, SIZE_PX), dtype=np.float32)
    one, three = (run_batches(session, pictures=pictures, batch_size=size) for size in (1, 3))
    for name in OUTPUT_NAMES:
        assert getattr(one, name) == pytest.approx(getattr(three, name), abs=1e-4)
