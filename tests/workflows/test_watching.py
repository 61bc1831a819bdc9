"""What is said while pictures are classified, with and without a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from supcam.data.files import Unreadable
from supcam.workflows.watching import watched


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run_through(said: list[str]) -> None:
    with watched(said.append) as listener:
        listener.started(2)
        listener.noted("a.tif", "page 1 of 2 was read")
        listener.failed(Unreadable(Path("b.png"), "no picture"))
        listener.advanced(2)


SAID = ["a.tif: note: page 1 of 2 was read", "b.png: no picture"]


def test_a_pipe_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    run_through(said)
    assert said == SAID
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_the_same_lines_and_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, said = Terminal(), list[str]()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    run_through(said)
    assert said == SAID
    assert "2/2" in terminal.getvalue()
