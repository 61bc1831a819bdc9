"""A folder that appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from supcam.core.types import SupcamError
from supcam.workflows.new_folder import NewFolder


def test_folder_appears_when_it_is_kept(tmp_path: Path) -> None:
    with NewFolder(tmp_path / "new") as folder:
        folder.write("deep/file.txt", b"content")
        folder.write_table("table.csv", columns=("a", "b"), rows=[(1, "x,y")])
        assert not (tmp_path / "new").exists()
        folder.keep()
    assert (tmp_path / "new" / "deep" / "file.txt").read_bytes() == b"content"
    assert (tmp_path / "new" / "table.csv").read_text() == 'a,b\n1,"x,y"\n'
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_files_grow_at_their_end(tmp_path: Path) -> None:
    with NewFolder(tmp_path / "new") as folder:
        for line in ("one\n", "two\n"):
            folder.append("lines.txt", line)
        with pytest.raises(SupcamError, match="cannot be written"):
            folder.append("no/such/folder.txt", "x")
        folder.keep()
    assert (tmp_path / "new" / "lines.txt").read_text() == "one\ntwo\n"


def test_what_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    with NewFolder(tmp_path / "new") as folder:
        folder.write("file.txt", b"content")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(SupcamError, match="something there already"):
        NewFolder(tmp_path / "full")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SupcamError, match="something there already"):
        NewFolder(tmp_path / "file")
    with pytest.raises(SupcamError, match="cannot be written"), NewFolder(tmp_path / "file" / "below"):
        pass
