"""What a person at the terminal sees: errors as one line, failures as lines, progress as a bar."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from supcam.core.types import SupcamError

if TYPE_CHECKING:
    from supcam.data.files import Unreadable
    from supcam.workflows.classify import Listener

SOME_FAILED, UNUSABLE, INTERRUPTED = 1, 2, 130
"""Exit codes besides 0: some inputs failed, arguments that cannot be used, stopped by hand."""

_EXTRAS = {
    "train": "torch torchvision timm lightning torchmetrics onnx onnxscript tensorboard safetensors",
    "measure": "scipy sklearn pandas matplotlib",
    "web": "fastapi starlette uvicorn sqlalchemy alembic multipart jinja2 prometheus_client httpx2 psycopg",
    "explain": "captum",
    "scale": "ray pyarrow fsspec",
}


@contextmanager
def plain_errors() -> Iterator[None]:
    """What went wrong inside as one line on standard error, and the exit code that goes with it.

    Errors that are not ours pass through: they are for whoever mends them.
    """
    try:
        yield
    except SupcamError as error:
        say(f"error: {error}")
        raise typer.Exit(UNUSABLE) from None
    except ModuleNotFoundError as error:
        root = (error.name or "").partition(".")[0]
        extra = next((extra for extra, names in _EXTRAS.items() if root in names.split()), None)
        if extra is None:
            raise
        say(f'error: this command needs {root}, which is not installed: pip install "supcam[{extra}]"')
        raise typer.Exit(UNUSABLE) from None
    except KeyboardInterrupt:
        say("stopped")
        raise typer.Exit(INTERRUPTED) from None


def say(text: str) -> None:
    """A line on standard error."""
    typer.echo(f"supcam: {shown(text)}", err=True)


def shown(text: str) -> str:
    """``text`` on one line: newlines, control codes and what no terminal can show are written as escapes."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


@contextmanager
def watched() -> Iterator[Listener]:
    """A listener that tells of failures and notes, with a bar where standard error is a terminal."""
    from supcam.workflows.classify import Listener  # noqa: PLC0415  other commands do without

    if not sys.stderr.isatty():
        yield Listener(noted=_noted, failed=_failed)
        return
    from rich.console import Console  # noqa: PLC0415  nobody watches a pipe
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("pictures", total=None)
        yield Listener(
            started=lambda total: progress.update(task, total=total),
            noted=_noted,
            failed=_failed,
            advanced=lambda count: progress.update(task, advance=count),
        )


def _failed(item: Unreadable) -> None:
    say(f"{item.name}: {item.reason}")


def _noted(name: str, note: str) -> None:
    say(f"{name}: note: {note}")
