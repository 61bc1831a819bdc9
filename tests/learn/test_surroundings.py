"""What surrounds a run in its process, and is as it was afterwards."""

from __future__ import annotations

import logging
import warnings

import cv2
import pytest
import torch

from supcam.learn.surroundings import quiet, threads_of


def threads() -> tuple[int, int]:
    return torch.get_num_threads(), cv2.getNumThreads()


def test_threads_are_as_asked_for_and_given_back_even_after_an_error() -> None:
    torch.set_num_threads(2)
    before = threads()

    def fail_inside() -> None:
        with threads_of(1):
            assert threads() == (1, 1)
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert threads() == before
    with threads_of(0):
        assert threads() == before


def test_only_what_is_meant_here_is_hushed() -> None:
    with quiet():
        warnings.warn("You're resuming from a checkpoint that ended before the epoch ended", stacklevel=1)
        with pytest.raises(UserWarning, match="something else"):
            warnings.warn("something else", stacklevel=1)
        assert logging.getLogger("lightning.pytorch").level >= logging.WARNING
    with pytest.raises(UserWarning, match="resuming"):
        warnings.warn("You're resuming from a checkpoint that ended before the epoch ended", stacklevel=1)
