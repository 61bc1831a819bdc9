"""Commands that make pictures: what they say when they cannot."""

from __future__ import annotations

from pathlib import Path

from tests.commands import supcam_

from supcam.workflows.terminal import UNUSABLE


def test_compose_without_pictures_or_a_place_to_put_them_is_exit_code_2(tmp_path: Path) -> None:
    for arguments in (["--drawn"], ["--sheet", str(tmp_path / "s.png")], [str(tmp_path / "nowhere")]):
        result = supcam_("compose", *arguments)
        assert result.exit_code == UNUSABLE, result.output
        assert "supcam: error: " in result.stderr
        assert not (tmp_path / "s.png").exists()
