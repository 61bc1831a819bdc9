from __future__ import annotations

import numpy as np
import pytest

from supcam.core.types import SupcamError
from supcam.measure import label_errors


def test_swapped_labels_come_first() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 120)
    probabilities = np.full((120, 5), 0.01)
    probabilities[np.arange(120), truth] = 0.96
    given = truth.copy()
    given[[5, 50]] = (truth[[5, 50]] + 1) % 3
    found = label_errors.find_label_errors(given, probabilities)
    assert {*found.order[:2].tolist()} == {5, 50} == {*np.flatnonzero(found.is_likely_wrong).tolist()}
    assert found.quality[5] == pytest.approx(0.01)


def test_nothing_and_a_single_label_have_no_errors() -> None:
    assert not len(label_errors.find_label_errors(np.zeros(0, np.int64), np.zeros((0, 5))).order)
    one = label_errors.find_label_errors(np.zeros(3, np.int64), np.full((3, 5), 0.2))
    assert not one.is_likely_wrong.any()


def test_without_cleanlab_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_errors, "is_available", lambda: False)
    with pytest.raises(SupcamError, match=r"supcam\[labels\]"):
        label_errors.find_label_errors(np.zeros(1, np.int64), np.full((1, 5), 0.2))
