"""What surrounds a run in its process: threads, warnings, and how it is stopped by hand."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import cv2
import lightning
import torch

_EXPECTED_WARNINGS = (
    "You're resuming from a checkpoint that ended before the epoch ended",  # our loader goes on there
    "The '.*dataloader' does not have many workers",  # the recipe says how many
    "The number of training batches .* is smaller than the logging interval",  # a matter of the recipe, too
    "Total length of `list` across ranks is zero",  # a recipe may do without validation
    "`isinstance.treespec, LeafSpec.` is deprecated",  # Lightning's own use of torch
    "Found .* module.* in eval mode at the start of training",  # the averaged network after validation
)


@contextmanager
def stopped_by_hand(trainer: lightning.Trainer) -> Generator[None]:
    """Ctrl-C is ``KeyboardInterrupt`` as everywhere; Lightning turns it into an exit and then ignores it."""
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stop:
        if trainer.received_sigterm:
            raise
        signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from stop


@contextmanager
def threads_of(threads: int) -> Generator[None]:
    """The given number of threads for torch and OpenCV, and what they had before afterwards."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    set_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def set_threads(threads: int) -> None:
    """The given number of threads for torch and OpenCV from now on; 0 leaves them as they are."""
    if threads:
        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)


@contextmanager
def quiet() -> Generator[None]:
    """Without Lightning's notes about devices, and its warnings about what is meant here."""
    notes = logging.getLogger("lightning.pytorch")
    level = notes.level
    notes.setLevel(max(level, logging.WARNING))
    try:
        with warnings.catch_warnings():
            for message in _EXPECTED_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        notes.setLevel(level)
