"""The words everybody uses."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from supcam.core.types import (
    Box,
    ClusterType,
    Decision,
    ImageError,
    Polarity,
    Prediction,
    Sample,
    SupcamError,
)

TYPES = list(ClusterType)


def test_type_is_two_bits() -> None:
    touching, overlapping = ClusterType.TOUCHING, ClusterType.OVERLAPPING
    assert touching | overlapping is ClusterType.TOUCHING_OVERLAPPING
    assert ClusterType.INSTANCE | overlapping is overlapping
    assert {int(member) for member in TYPES} == {0, 1, 2, 3}


@pytest.mark.parametrize(("a", "b"), [*itertools.product(TYPES, TYPES)])
def test_union_of_types_shows_every_relation_of_both(a: ClusterType, b: ClusterType) -> None:
    union = a | b
    assert isinstance(union, ClusterType)
    for bit in (1, 2):
        assert bool(union & bit) == (bool(a & bit) or bool(b & bit))


@pytest.mark.parametrize("kind", TYPES)
def test_label_of_a_type_leads_back_to_it(kind: ClusterType) -> None:
    assert ClusterType.from_label(kind.label) is kind
    assert ClusterType.from_label(f"  {kind.label.upper().replace('_', '-')} ") is kind
    assert ClusterType.from_label(kind.label.replace("_", " ")) is kind


@pytest.mark.parametrize("text", ["", "cross", "touching_", "0", "touching overlapping instance"])
def test_other_words_are_no_type_and_the_message_names_the_four(text: str) -> None:
    with pytest.raises(ValueError, match="touching_overlapping"):
        ClusterType.from_label(text)


def test_words_in_tables_are_fixed() -> None:
    assert [kind.label for kind in TYPES] == ["instance", "touching", "overlapping", "touching_overlapping"]
    assert [decision.value for decision in Decision] == ["accept", "review"]
    assert [polarity.value for polarity in Polarity] == ["bright_field", "fluorescence"]


def test_box_cuts_what_it_says() -> None:
    box = Box(top=2, left=3, bottom=5, right=9)
    assert np.zeros((10, 10))[box.slices].shape == (box.height, box.width) == (3, 6)


def test_results_cannot_be_changed() -> None:
    box = Box(0, 0, 1, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        box.top = 1  # type: ignore[misc]
    assert Sample.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_error_says_where_what_was_found_expected_and_to_do() -> None:
    error = ImageError("3 channels", expected="grey", remedy="convert it", where="a b.png")
    assert isinstance(error, SupcamError)
    assert str(error) == "a b.png: found 3 channels; expected grey; convert it"
    assert str(SupcamError("x", expected="y", remedy="z")) == "found x; expected y; z"


@pytest.mark.parametrize(
    ("label", "text"), [(ClusterType.TOUCHING_OVERLAPPING, "touching_overlapping"), (None, "rejected")]
)
def test_type_of_a_prediction_is_its_name(label: ClusterType | None, text: str) -> None:
    prediction = Prediction(
        label=label,
        probabilities=(0.1, 0.1, 0.1, 0.7),
        confidence=0.7,
        n_chromosomes=3,
        decision=Decision.REVIEW,
    )
    assert prediction.type == text
