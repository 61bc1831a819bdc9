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


def test_synth_writes_a_data_set_and_says_what_is_in_it(tmp_path: Path) -> None:
    result = supcam_(
        "synth", "--output", tmp_path / "set", "--n", "1", "--laboratory", "8", "--karyotype", "24,X,+21",
        "--contacts", "instance=1", "--size", "700", "560",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "1 metaphases: 24 instance" in result.stderr
    lines = (tmp_path / "set" / "images.csv").read_text().splitlines()
    assert lines[1].startswith('000000.png,"24,X,+21",8,24,')
    assert lines[1].endswith(",560,700")


def test_synth_of_what_is_not_to_be_drawn_is_exit_code_2(tmp_path: Path) -> None:
    for arguments in (
        ["--karyotype", "46,XX,del(5p)"],
        ["--laboratory", "best"],
        ["--config", str(tmp_path / "none.toml")],
    ):
        result = supcam_("synth", "--output", tmp_path / "set", *arguments)
        assert result.exit_code == UNUSABLE, result.output
        assert "supcam: error: " in result.stderr
        assert not (tmp_path / "set").exists()
