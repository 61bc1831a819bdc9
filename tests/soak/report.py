"""What is known so far of a long proof: a JSON file that grows part by part, and a page of Markdown."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.soak.machine import about, load_average

from supcam.core.disk import write_whole

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """The parts that are finished, in a file: started again, a run does the others."""

    path: Path

    def parts(self) -> dict[str, Figures]:
        """The finished parts by name."""
        if not self.path.is_file():
            return {}
        found: dict[str, Figures] = json.loads(self.path.read_text(encoding="utf-8"))["parts"]
        return found

    def add(self, name: str, run: Callable[[], object], *, command: str) -> None:
        """Part ``name``, unless it is there; written once it is finished, with the load beside it."""
        if name in self.parts():
            return
        before, begun = load_average(), time.monotonic()
        figures = run()
        part = {
            "machine": about(),
            "command": command,
            "load_before": before,
            "load_after": load_average(),
            "minutes": round((time.monotonic() - begun) / 60, 1),
            "figures": figures,
        }
        parts = self.parts() | {name: part}
        write_whole(self.path, [json.dumps({"parts": parts}, indent=1).encode() + b"\n"])
        write_whole(self.path.with_suffix(".md"), [described(parts).encode()])


def described(parts: Mapping[str, Figures]) -> str:
    """All parts as Markdown, a short table each."""
    blocks = ["# The service under load and in trouble\n"]
    for name, part in parts.items():
        figures, machine = part["figures"], part["machine"]
        rows = figures if isinstance(figures, list) else [figures]
        blocks.append(f"## {name}\n")
        blocks.append(
            f"`{part['command']}`, {part['minutes']} minutes on {machine['cores']} cores "
            f"({machine['processor']}), "
            f"niceness {machine['niceness']}; load average {part['load_before'][0]} before, "
            f"{part['load_after'][0]} after.\n"
        )
        blocks.append(_table([_flat(row) for row in rows]))
    return "\n".join(blocks)


def _flat(row: Figures, *, before: str = "") -> dict[str, object]:
    """Nested figures side by side; lists, which hold samples, as their length; single kinds are left out."""
    flat: dict[str, object] = {}
    for key, value in row.items():
        if key == "by_kind":
            continue
        if isinstance(value, Mapping):
            flat |= _flat(value, before=f"{before}{key}: ")
        else:
            flat[before + key] = len(value) if isinstance(value, list) and len(value) > 3 else value
    return flat


def _table(rows: list[dict[str, object]]) -> str:
    """A line for each figure, a column for each row: there are more figures than rows."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| |" + " |" * len(rows), "|---|" + "---|" * len(rows)]
    lines += [f"| {key} | " + " | ".join(str(row.get(key, "")) for row in rows) + " |" for key in keys]
    return "\n".join(lines) + "\n"
