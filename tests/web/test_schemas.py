from __future__ import annotations

import pytest
from pydantic import ValidationError

from supcam.web.schemas import NewDecision, PurgeOrder, check_number, least_number


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"type": "touching", "revokes": 1},
        {"revokes": 1, "n_chromosomes": 2},
        {"type": "instance", "n_chromosomes": 2},
        {"type": "touching", "n_chromosomes": 1},
        {"type": "touching_overlapping", "n_chromosomes": 2},
        {"type": "rejected", "n_chromosomes": 1},
        {"type": "nucleus"},
        {"type": "instance", "more": 1},
    ],
)
def test_a_decision_that_contradicts_itself_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NewDecision.model_validate(words)


def test_types_have_their_least_numbers() -> None:
    kinds = ("rejected", "instance", "touching", "overlapping", "touching_overlapping")
    assert [least_number(kind) for kind in kinds] == [0, 1, 2, 2, 3]
    check_number("touching", 5)
    with pytest.raises(ValueError, match="from 2"):
        check_number("overlapping", 1)


@pytest.mark.parametrize("words", [{}, {"case": "a", "older_than_days": 1}, {"case": ""}])
def test_a_purge_says_just_what_goes(words: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PurgeOrder.model_validate(words)
