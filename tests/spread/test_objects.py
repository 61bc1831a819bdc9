from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from supcam.core.types import Box, ClusterType, Clutter, Decision, Polarity, Prediction, Region
from supcam.spread.finding import Found
from supcam.spread.objects import REJECTED, Judge, Reason

JUDGE = Judge(size=(200, 200), width_px=10.0, threshold=0.2)
CHANCES = np.array([0.1, 0.9])


def found(**changes: object) -> Found:
    mask = np.ones((10, 30), np.bool_)
    stain = mask.astype(np.float32)
    values: dict[str, object] = {
        "mask": mask,
        "box": Box(5, 5, 15, 35),
        "area_px": 300,
        "clutter": None,
        "region": Region(stain=stain, mask=mask, box=Box(0, 0, 10, 30), width_px=10.0),
        "is_cut": False,
        "stain_share": 1.0,
        "first": (5, 5),
    }
    return Found(**(values | changes))  # type: ignore[arg-type]


def comb() -> np.ndarray:
    """A body with long thin teeth."""
    mask = np.zeros((60, 40), np.bool_)
    mask[:8] = True
    mask[:, ::4] = True
    return mask


def slice_of_a_nucleus() -> np.ndarray:
    """The lowest part of a disc, cut along its upper edge."""
    rows, columns = np.mgrid[:12, :60]
    return np.asarray((rows + 35) ** 2 + (columns - 30) ** 2 <= 46**2)


def read(*, chance: float | None = 0.9, n: int = 2, decision: Decision = Decision.ACCEPT) -> Prediction:
    return Prediction(
        label=ClusterType.TOUCHING,
        probabilities=(0.1, 0.7, 0.1, 0.1),
        confidence=0.7,
        n_chromosomes=n,
        decision=decision,
        chromosome_probability=chance,
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"clutter": Clutter.NUCLEUS}, Reason.NUCLEUS),
        ({"clutter": Clutter.MARK}, Reason.MARK),
        ({"area_px": 69}, Reason.SPECK),
        ({"area_px": 70}, None),
        ({"stain_share": 0.49}, Reason.FAINT),
        ({"stain_share": 0.5}, None),
        ({"is_too_large": True, "clutter": Clutter.NUCLEUS}, Reason.TOO_LARGE),
        ({"is_cut": True}, None),
        ({"stain_share": 1.5}, None),
        ({"stain_share": 1.51}, Reason.DARK),
        ({"mask": np.ones((4, 60), np.bool_)}, Reason.THREAD),
        ({"mask": comb()}, Reason.RAGGED),
        ({"mask": slice_of_a_nucleus(), "box": Box(0, 40, 12, 100)}, Reason.SLICE),
        ({"mask": slice_of_a_nucleus(), "box": Box(20, 40, 32, 100)}, None),
        ({"box": Box(0, 50, 10, 80)}, None),
        ({"mask": np.ones((30, 10), np.bool_), "box": Box(0, 50, 30, 60)}, None),
    ],
)
def test_shape_and_stain_tell_what_is_no_chromosome(
    changes: dict[str, object], reason: Reason | None
) -> None:
    assert JUDGE.by_shape(found(**changes)) is reason


def test_what_the_model_was_not_asked_about_has_no_reading() -> None:
    item = JUDGE.rejected(found(clutter=Clutter.MARK), reason=Reason.MARK)
    assert (item.type, item.n_chromosomes, item.is_kept) == (REJECTED, 0, False)
    assert item.prediction is None
    assert item.decision is Decision.ACCEPT
    assert item.number_chances.tolist() == [1.0]


def test_a_kept_object_has_the_model_s_type_and_number() -> None:
    item = JUDGE.judged(found(), prediction=read(), chances=CHANCES)
    assert (item.type, item.n_chromosomes, item.is_kept, item.doubts) == ("touching", 2, True, ())
    assert item.decision is Decision.ACCEPT
    assert item.number_chances.tolist() == [0.0, 0.1, 0.9]


@pytest.mark.parametrize(
    ("chance", "kept", "doubts"),
    [
        (None, True, ()),
        (0.9, True, ()),
        (0.34, True, ()),
        (0.32, True, (Reason.NEARLY_REJECTED,)),
        (0.2, True, (Reason.NEARLY_REJECTED,)),
        (0.19, False, (Reason.NEARLY_KEPT,)),
        (0.12, False, (Reason.NEARLY_KEPT,)),
        (0.10, False, ()),
    ],
)
def test_the_threshold_rejects_and_what_is_near_it_is_shown(
    chance: float | None, kept: bool, doubts: tuple[Reason, ...]
) -> None:
    item = JUDGE.judged(found(), prediction=read(chance=chance), chances=CHANCES)
    assert (item.is_kept, item.doubts) == (kept, doubts)
    if not kept:
        assert (item.type, item.n_chromosomes, item.rejection) == (REJECTED, 0, Reason.NO_CHROMOSOME)
        assert item.number_chances.tolist() == [1.0]


@pytest.mark.parametrize(
    ("chance", "kept", "doubts"),
    [
        (0.34, True, ()),
        (0.19, True, (Reason.NEARLY_REJECTED,)),
        (0.05, True, (Reason.NEARLY_REJECTED,)),
        (0.049, False, (Reason.NEARLY_KEPT,)),
        (0.01, False, ()),
    ],
)
def test_in_fluorescence_less_is_rejected_and_more_is_shown(
    chance: float, kept: bool, doubts: tuple[Reason, ...]
) -> None:
    judge = replace(JUDGE, polarity=Polarity.FLUORESCENCE)
    item = judge.judged(found(), prediction=read(chance=chance), chances=CHANCES)
    assert (item.is_kept, item.doubts) == (kept, doubts)


def test_bright_chromosomes_are_no_blots_and_a_lower_threshold_stays() -> None:
    judge = replace(JUDGE, polarity=Polarity.FLUORESCENCE)
    assert judge.by_shape(found(stain_share=2.0)) is None
    assert JUDGE.by_shape(found(stain_share=2.0)) is Reason.DARK
    assert replace(judge, threshold=0.01).lowest == 0.01


def test_every_doubt_is_told() -> None:
    prediction = read(decision=Decision.REVIEW, n=5)
    item = JUDGE.judged(found(is_cut=True), prediction=prediction, chances=CHANCES)
    assert item.doubts == (Reason.UNSURE_TYPE, Reason.CUT)
    assert item.decision is Decision.REVIEW


def test_what_looks_unlike_all_that_is_known_is_for_a_person() -> None:
    for share, doubts in ((0.9, ()), (1.1, (Reason.UNFAMILIAR,))):
        prediction = replace(read(), unfamiliarity=share)
        assert JUDGE.judged(found(), prediction=prediction, chances=CHANCES).doubts == doubts
