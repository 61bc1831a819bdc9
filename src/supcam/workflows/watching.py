"""What a person at the terminal sees while pictures are classified: failures as lines, progress as a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from supcam.data.files import Unreadable
from supcam.workflows.classify import Listener

Say = Callable[[str], None]


@contextmanager
def watched(say: Say) -> Iterator[Listener]:
    """A listener that tells ``say`` of failures and notes, with a bar where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield _talking(say)
        return
    from rich.console import Console  # noqa: PLC0415  nobody watches a pipe
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("pictures", total=None)
        talking = _talking(say)
        yield Listener(
            started=lambda total: progress.update(task, total=total),
            noted=talking.noted,
            failed=talking.failed,
            advanced=lambda count: progress.update(task, advance=count),
        )


def _talking(say: Say) -> Listener:
    def failed(item: Unreadable) -> None:
        say(f"{item.path}: {item.reason}")

    def noted(name: str, note: str) -> None:
        say(f"{name}: note: {note}")

    return Listener(noted=noted, failed=failed)
