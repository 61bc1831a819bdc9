from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.tiny_bundle import SIZE_PX, write_tiny

from supcam.core.in_context import MEASURES
from supcam.core.reading import read_jointly
from supcam.core.types import Box, ClusterType, Decision, Polarity, Prediction
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import Calibration, InContext
from supcam.pack.sides import from_all_sides
from supcam.spread.in_context import Evidence, answers_in_context, measure, read_in_context
from supcam.spread.objects import Reason, SpreadObject
from supcam.spread.outline import Outline

INSTANCE, TOUCHING, OVERLAPPING, BOTH = ClusterType
ROUND = Outline(thickness=1.0, raggedness=1.0, solidity=0.9, fill=0.7, chord=0.0)
OF_CLUSTERS = (0.0, 0.2, 0.7, 0.1)


def evidence(
    *,
    types: tuple[float, float, float, float] = (0.7, 0.1, 0.1, 0.1),
    numbers: tuple[float, ...] = (0.7, 0.2, 0.05, 0.05, 0.0),
    area: float = 5.0,
    chromosome: float = 0.9,
) -> Evidence:
    return Evidence(
        types=np.array(types),
        numbers=np.array(numbers),
        chromosome=chromosome,
        outline=ROUND,
        area=area,
        sides=(4.0, 2.0),
    )


def item(*, doubts: tuple[Reason, ...] = ()) -> SpreadObject:
    read = Prediction(
        label=TOUCHING,
        probabilities=(0.1, 0.8, 0.1, 0.0),
        confidence=0.8,
        n_chromosomes=2,
        decision=Decision.ACCEPT,
        type_set=(TOUCHING,),
        unfamiliarity=0.5,
    )
    return SpreadObject(
        object_id=1,
        box=Box(0, 0, 1, 1),
        mask=np.ones((1, 1), np.bool_),
        area_px=100,
        prediction=read,
        rejection=None,
        doubts=doubts,
        number_chances=np.array([0.0, 0.1, 0.9]),
    )


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    write_tiny(folder, calibration=Calibration(accept_threshold=0.8))
    return load_model(folder, threads=1)


def model(bare: Model, *chances: float) -> Model:
    """A model that gives every object these chances of 0, 1, 2 ... chromosomes."""
    n = len(MEASURES)
    context = InContext(
        mean=(0.0,) * n,
        scale=(1.0,) * n,
        weights=((0.0,) * (2 * n),) * len(chances),
        intercepts=tuple(float(np.log(each)) for each in chances),
        polarity=Polarity.BRIGHT_FIELD,
    )
    return replace(bare, calibration=bare.calibration.model_copy(update={"in_context": context}))


def read(model: Model, *, known: Evidence | None = None, before: SpreadObject | None = None) -> SpreadObject:
    (found,) = read_in_context([before or item()], evidence=[known or evidence()], model=model)
    return found


def test_measures_have_their_names_and_areas_are_held_against_single_chromosomes() -> None:
    singles = [evidence(area=area) for area in (4.0, 5.0, 6.0, 5.0, 5.0)]
    row = dict(zip(MEASURES, measure([*singles, evidence(area=20.0, types=OF_CLUSTERS)])[-1], strict=True))
    assert row["relative_area"] == pytest.approx(4.0)
    assert row["relative_area_log"] == pytest.approx(np.log(4.0))
    assert row["area"] == pytest.approx(np.log(20.0))
    assert (row["short_side"], row["long_side"]) == pytest.approx((np.log(2.0), np.log(4.0)))
    assert row["overlapping"] == pytest.approx(np.log(0.7 / 0.3))
    assert row["instance"] == pytest.approx(np.log(1e-4 / (1 - 1e-4)))
    assert row["mean_number"] == pytest.approx(0.7 + 0.4 + 0.15 + 0.2)
    assert row["number_2"] == pytest.approx(np.log(0.2 / 0.8))
    assert row["number_8"] == row["number_7"] == pytest.approx(np.log(1e-4 / (1 - 1e-4)))
    assert row["solidity"] == 0.9


def test_too_few_singles_leave_the_usual_area() -> None:
    row = dict(zip(MEASURES, measure([evidence(area=10.0)])[0], strict=True))
    assert row["relative_area"] == pytest.approx(2.0)


def test_more_likely_none_than_any_is_rejected_and_nearly_so_is_told(bare: Model) -> None:
    sure, near = read(model(bare, 0.9, 0.05, 0.03, 0.02)), read(model(bare, 0.6, 0.2, 0.1, 0.1))
    assert sure.rejection is near.rejection is Reason.NO_CHROMOSOME
    assert (sure.doubts, near.doubts) == ((), (Reason.NEARLY_KEPT,))
    assert (sure.n_chromosomes, sure.type) == (0, "rejected")
    kept = read(model(bare, 0.4, 0.58, 0.01, 0.01))
    assert kept.is_kept
    assert Reason.NEARLY_REJECTED in kept.doubts


def test_what_the_network_alone_would_have_rejected_may_be_kept(bare: Model) -> None:
    before = replace(item(), rejection=Reason.NO_CHROMOSOME)
    assert read(model(bare, 0.01, 0.97, 0.01, 0.01), before=before).is_kept


def test_single_or_cluster_is_read_in_context_and_the_clusters_type_by_the_network(bare: Model) -> None:
    known = evidence(types=OF_CLUSTERS)
    single = read(model(bare, 0.001, 0.969, 0.02, 0.01), known=known)
    assert (single.type, single.n_chromosomes, single.decision) == ("instance", 1, Decision.ACCEPT)
    assert single.prediction is not None
    assert single.prediction.type_set == (INSTANCE, TOUCHING), (
        "the type that was read is among those it may be"
    )
    cluster = read(model(bare, 0.01, 0.09, 0.85, 0.05), known=known)
    assert cluster.prediction is not None
    assert cluster.type == "overlapping"
    shares = np.array(cluster.prediction.probabilities)
    assert shares.sum() == pytest.approx(1)
    assert shares[0] == pytest.approx(0.09 / 0.99)
    np.testing.assert_allclose(shares[1:] / shares[1:].sum(), OF_CLUSTERS[1:])
    assert cluster.n_chromosomes == 2
    assert (cluster.decision, cluster.doubts) == (Decision.REVIEW, (Reason.UNSURE_TYPE,))
    assert cluster.prediction.chromosome_probability == pytest.approx(0.99)


def test_a_type_asks_for_its_least_number(bare: Model) -> None:
    known = evidence(types=(0.0, 0.1, 0.1, 0.8))
    assert read(model(bare, 0.01, 0.01, 0.97, 0.01), known=known).n_chromosomes == 3


def test_the_last_number_is_shared_by_area(bare: Model) -> None:
    reader = model(bare, 0.001, 0.001, 0.001, 0.997)
    sizes = {
        area: read(reader, known=evidence(types=OF_CLUSTERS, numbers=(0.0, 0.0, 0.0, 0.0, 1.0), area=area))
        for area in (30.0, 60.0)
    }
    assert sizes[30.0].n_chromosomes == pytest.approx(5, abs=1)
    assert sizes[60.0].n_chromosomes == pytest.approx(10, abs=1)
    assert Reason.MOST in sizes[60.0].doubts
    assert sizes[60.0].number_chances.sum() == pytest.approx(1)


def test_doubts_that_have_nothing_to_do_with_it_stay(bare: Model) -> None:
    before = item(doubts=(Reason.CUT, Reason.UNSURE_TYPE, Reason.UNFAMILIAR))
    found = read(model(bare, 0.001, 0.997, 0.001, 0.001), before=before)
    assert found.doubts == (Reason.UNFAMILIAR, Reason.CUT)


def test_the_users_mix_of_types_moves_the_probabilities(bare: Model) -> None:
    plain = model(bare, 0.01, 0.5, 0.45, 0.04)
    asked = replace(
        plain,
        calibration=plain.calibration.model_copy(update={"prior": (0.1, 2.0, 2.0, 2.0)}),
        shipped=plain.calibration,
    )
    known = evidence(types=OF_CLUSTERS)
    assert read(plain, known=known).type == "instance"
    assert read(asked, known=known).type == "overlapping"


def test_objects_that_the_model_was_not_asked_about_stay_as_they_are(bare: Model) -> None:
    speck = replace(item(), prediction=None, rejection=Reason.SPECK)
    first, second = read_in_context(
        [speck, item()], evidence=[None, evidence()], model=model(bare, 0.01, 0.97, 0.01, 0.01)
    )
    assert first is speck
    assert second.type == "instance"
    assert read_in_context([speck], evidence=[None], model=model(bare, 0.1, 0.8, 0.05, 0.05)) == [speck]


def test_a_model_without_is_an_error(bare: Model) -> None:
    with pytest.raises(ValueError, match="no reading in context"):
        read(bare)


def test_it_survives_the_bundle(bare: Model, tmp_path: Path) -> None:
    calibration = model(bare, 0.1, 0.8, 0.05, 0.05).calibration
    write_tiny(tmp_path / "other", calibration=calibration)
    assert load_model(tmp_path / "other", threads=1).calibration == calibration


# ---- the network asked from all sides


def squares(n: int) -> np.ndarray:
    return np.random.default_rng(5).random((n, 1, SIZE_PX, SIZE_PX), dtype=np.float32)


def test_unsure_objects_are_read_from_all_sides(bare: Model) -> None:
    pictures = squares(6)
    as_they_lie = bare.logits(pictures)
    types = read_jointly(as_they_lie.type_logits, as_they_lie.count_logits).type_probabilities
    unsure = types[:, INSTANCE] < 0.99
    assert unsure.any()
    expected = from_all_sides(as_they_lie, pictures=pictures, unsure=unsure, logits=bare.logits)
    found = answers_in_context(pictures, model=bare)
    np.testing.assert_array_equal(found.count_logits, expected.count_logits)
    assert not np.array_equal(found.count_logits, as_they_lie.count_logits)


def test_sure_single_chromosomes_are_looked_at_once(bare: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = squares(2)
    sure = replace(
        bare.logits(pictures),
        type_logits=np.array([[30, 0, 0, 0]] * 2, np.float32),
        count_logits=np.array([[30, 0, 0, 0, 0]] * 2, np.float32),
    )
    monkeypatch.setattr(Model, "logits", lambda _model, _pictures: sure)
    assert answers_in_context(pictures, model=bare) is sure
