"""A folder of checkpoints is written by one command at a time, however many were started for one plan."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from supcam.core.types import TrainingError


class HeldElsewhereError(TrainingError):
    """Another command is at this very run."""


@contextmanager
def held(folder: Path, *, wait: bool) -> Generator[None]:
    """The right to write into ``folder``, until the block ends or the process does, even by a kill.

    What tells others is a hidden file ``.NAME.lock`` beside it. With ``wait`` another command's end is waited
    for; else raises ``HeldElsewhereError`` while there is one.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / f".{folder.name}.lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout as error:
        raise HeldElsewhereError(
            "a run that another command is at",
            expected="one command for a run",
            remedy="let it finish, or end it",
            where=folder,
        ) from error
    try:
        yield
    finally:
        lock.release()
