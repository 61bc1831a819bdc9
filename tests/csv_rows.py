"""Tables that a test reads back."""

from __future__ import annotations

import csv
from pathlib import Path


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by column."""
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
