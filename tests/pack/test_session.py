from __future__ import annotations

import numpy as np
import pytest

from supcam.core.types import BundleError
from supcam.pack.session import open_session, relative_difference, usable_cores


def test_relative_difference_is_a_share_of_the_largest_value() -> None:
    expected = np.array([[9.0, 1.0]], np.float32)
    assert relative_difference(expected + np.float32(0.5), expected=expected) == pytest.approx(0.05)
    assert np.isnan(relative_difference(expected * np.float32(np.nan), expected=expected))
    assert relative_difference(expected[:0], expected=expected[:0]) == 0


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(BundleError, match="does not load"):
        open_session(b"no model", threads=1, where="here")


def test_there_is_a_core() -> None:
    assert usable_cores() >= 1
