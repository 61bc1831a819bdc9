"""A folder is one reproduction's: what it was begun with is written into it, and anything else refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from supcam.core.disk import write_whole
from supcam.core.types import TrainingError

_SETUP = "setup.json"


def claim_output(output: Path, *, setup: Mapping[str, object]) -> None:
    """The folder is that of ``setup`` (plain values), which is written into it.

    Raises ``TrainingError`` when it was begun with another setup, holds something else, or is no place to
    write.
    """
    try:
        found = _setup_in(output)
        if found is None:
            write_whole(output / _SETUP, [json.dumps(setup, indent=2).encode() + b"\n"])
            return
    except (OSError, ValueError) as error:
        raise TrainingError(
            str(error), expected="a folder to write to", remedy="choose another output", where=output
        ) from error
    different = sorted(key for key in setup.keys() | found.keys() if setup.get(key) != found.get(key))
    if different:
        raise TrainingError(
            f"something that was begun with another {', '.join(different)}",
            expected="a new folder, or one that was begun with the same recipe and data",
            remedy="choose another output, or go back to what it was begun with",
            where=output,
        )


def _setup_in(output: Path) -> dict[str, object] | None:
    """What the folder was begun with; ``None`` for a new one."""
    place = output / _SETUP
    if place.exists():
        return dict(json.loads(place.read_text(encoding="utf-8")))
    occupied = output.exists() and any(output.iterdir())
    return {"content": "of another kind"} if occupied else None
