"""What is said at the terminal: errors in one line, and pictures as they go by."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
import typer

from supcam.core.types import ConfigError
from supcam.data.files import Unreadable
from supcam.workflows.terminal import INTERRUPTED, UNUSABLE, plain_errors, say, shown, watched


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def run_through() -> None:
    with watched() as listener:
        listener.started(2)
        listener.noted("a.tif", "page 1 of 2 was read")
        listener.failed(Unreadable(Path("b.png"), "no picture"))
        listener.advanced(2)


def test_a_pipe_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    run_through()
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "supcam: a.tif: note: page 1 of 2 was read\nsupcam: b.png: no picture\n"


def test_a_terminal_gets_the_same_lines_and_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    run_through()
    assert "supcam: a.tif: note: page 1 of 2 was read" in terminal.getvalue()
    assert "supcam: b.png: no picture" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()


def test_our_own_errors_are_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as stop, plain_errors():
        raise ConfigError("a\nb", expected="c", remedy="d", where="e.toml")
    assert stop.value.exit_code == UNUSABLE
    assert capsys.readouterr().err == "supcam: error: e.toml: found a\\nb; expected c; d\n"


@pytest.mark.parametrize(
    ("module", "extra"), [("torch", "train"), ("timm.models", "train"), ("scipy", "measure")]
)
def test_a_missing_package_is_named_with_its_extra(
    module: str, extra: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as stop, plain_errors():
        raise ModuleNotFoundError(f"No module named {module!r}", name=module)
    assert stop.value.exit_code == UNUSABLE
    assert f'pip install "supcam[{extra}]"' in capsys.readouterr().err


@pytest.mark.parametrize("name", ["supcam.lost", None])
def test_errors_that_are_not_the_users_are_not_hidden(name: str | None) -> None:
    with pytest.raises(ModuleNotFoundError), plain_errors():
        raise ModuleNotFoundError("lost", name=name)
    with pytest.raises(ZeroDivisionError), plain_errors():
        raise ZeroDivisionError


def test_stopping_by_hand_has_its_own_exit_code() -> None:
    with pytest.raises(typer.Exit) as stop, plain_errors():
        raise KeyboardInterrupt
    assert stop.value.exit_code == INTERRUPTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain 染色体", "plain 染色体"),
        ("two\nlines\r", r"two\nlines\r"),
        ("\x1b[31mred", r"\x1b[31mred"),
        (os.fsdecode(b"odd\xff"), r"odd\udcff"),
    ],
)
def test_what_no_terminal_should_get_is_escaped(text: str, expected: str) -> None:
    assert shown(text) == expected


def test_saying_is_one_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb")
    assert capsys.readouterr() == ("", "supcam: a\\nb\n")
