"""What people rely on stays as it is, unless somebody meant to change it and wrote that down."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.public_api import public_names

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = (ROOT / "tests" / "public_api.txt").read_text(encoding="utf-8").splitlines()
DOCUMENT = (ROOT / "docs" / "public-api.md").read_text(encoding="utf-8")
ADVICE = "if it was meant: python -m tests.public_api > tests/public_api.txt, and a line in CHANGELOG.md"


@pytest.fixture(scope="module")
def found() -> list[str]:
    """What is there now, listed by a process whose signatures no test has touched."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    return subprocess.run(
        [sys.executable, "-m", "tests.public_api"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip


def python_of(lines: list[str]) -> set[str]:
    return {line for line in lines if "(" in line or ": " in line}


def commands_of(lines: list[str]) -> dict[str, set[str]]:
    """The options and arguments of every command, by its name."""
    found = {}
    for line in set(lines) - python_of(lines):
        words = line.split()
        n = next((n for n, word in enumerate(words) if word[0] in "-<"), len(words))
        found[" ".join(words[:n])] = set(words[n:])
    return found


def test_names_and_signatures_are_the_ones_that_were_written_down(found: list[str]) -> None:
    gone = python_of(WRITTEN) - python_of(found)
    new = python_of(found) - python_of(WRITTEN)
    assert not gone, f"public and gone or changed; {ADVICE}"
    assert not new, f"public and not written down; {ADVICE}"


def test_every_command_still_takes_what_it_took(found: list[str]) -> None:
    """New commands and options are free; what scripts use stays."""
    now = commands_of(found)
    for command, words in commands_of(WRITTEN).items():
        assert command in now, f"a command is gone; {ADVICE}"
        assert not words - now[command], f"{command} lost options; {ADVICE}"


def test_every_public_name_stands_in_the_documentation() -> None:
    named = set(re.findall(r"`([\w.]+)`", DOCUMENT))
    assert not set(public_names()) - named
    assert not {name for name in named if name.startswith("supcam.")} - set(public_names())


def test_the_guard_sees_changes() -> None:
    before = ["supcam.f(a: int) -> int", "class supcam.C(x: int) -> None", "supcam run --a -o <paths>"]
    assert python_of(before) == set(before[:2])
    assert commands_of(before) == {"supcam run": {"--a", "-o", "<paths>"}}
    assert commands_of(["supcam token list", "supcam run x"]) == {
        "supcam token list": set(),
        "supcam run x": set(),
    }
