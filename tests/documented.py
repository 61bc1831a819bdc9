"""What the documents say: their links and headings, their commands, their code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_VARIABLE = re.compile(r"[A-Z_]+=")
_FENCE = re.compile(r"^(?P<indent> *)(```|~~~)(?P<language>[\w-]*)")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it begins, its language, its lines without the indent of the fence."""

    document: Path
    line: int
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as they stand."""
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True, slots=True)
class Command:
    """A command in a document, its program first; continued lines are one."""

    place: str
    text: str
    words: tuple[str, ...]


def name_of(document: Path) -> str:
    """A document's place in the repository."""
    return document.relative_to(ROOT).as_posix()


def blocks(document: Path) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    opened: tuple[int, str, str] | None = None
    lines: list[str] = []
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, lines = (number, fence["language"], fence["indent"]), []
        elif opened is not None and fence:
            yield Block(document, opened[0], opened[1], tuple(lines))
            opened = None
        elif opened is not None:
            lines.append(line.removeprefix(opened[2]))
    assert opened is None, f"{name_of(document)}:{opened[0]} is never closed" if opened else ""


def commands(document: Path) -> Iterator[Command]:
    """What a reader is told to type: all lines of ``sh`` blocks, lines after a $ of ``console`` blocks."""
    for block in blocks(document):
        if block.language not in ("sh", "console"):
            continue
        typed = block.text.replace("\\\n", " ").splitlines()
        if block.language == "console":
            typed = [line.removeprefix("$ ") for line in typed if line.startswith("$ ")]
        for line in typed:
            words = _without_shell(shlex.split(re.sub(r"\$\([^)]*\)", "SHELL", line), comments=True))
            if words:
                place = f"{name_of(document)}:{block.line}"
                yield Command(place, text=" ".join(line.partition("  #")[0].split()), words=tuple(words))


def _without_shell(words: list[str]) -> list[str]:
    """A command's own words: no variables set before it, no file that its output goes to."""
    begun = next((place for place, word in enumerate(words) if not _VARIABLE.match(word)), len(words))
    return words[begun : words.index(">") if ">" in words else None]


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    lines, inside = [], False
    for line in document.read_text(encoding="utf-8").splitlines():
        is_fence = bool(_FENCE.match(line))
        inside ^= is_fence
        if not inside and not is_fence:
            lines.append(line)
    return "\n".join(lines)


def links(document: Path) -> list[str]:
    """The targets of all links and pictures, but for those that lead elsewhere."""
    found = [match["target"] for match in _LINK.finditer(prose(document))]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(document: Path) -> set[str]:
    """What a link into a document may name: its headings as GitHub and the site both write them."""
    headings = re.findall(r"^#{1,6} +(.+?) *$", prose(document), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
