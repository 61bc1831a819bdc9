from __future__ import annotations

from pathlib import Path

from tests.tiny_bundle import write_tiny

from supcam.pack.bundle import DEFAULT_MODEL
from supcam.pack.folder import read_card
from supcam.pack.readme import hub_readme, readme_of


def test_the_page_says_what_the_card_says() -> None:
    card = read_card(DEFAULT_MODEL)
    page = readme_of(card, usage="import supcam")
    assert page.startswith(f"# {card.name} {card.version}\n")
    assert f"batch x 1 x {card.crop.size_px} x {card.crop.size_px}" in page
    for figure in card.figures:
        assert f"| {figure.name} | {figure.value:.3f}" in page
        assert f"| {figure.source} | {figure.role} |" in page
    assert all(f"- {source}" in page for source in card.data.sources)
    assert "```python\nimport supcam\n```" in page
    assert max(map(len, page.split("\n\n"))) < 4000


def test_a_card_with_little_to_say_is_told_so(tmp_path: Path) -> None:
    page = readme_of(write_tiny(tmp_path / "tiny"), usage="x")
    assert "The card names no figure." in page
    assert "The card names no source." in page


def test_the_page_tells_whoever_runs_the_network_alone_of_the_eight_sides(tmp_path: Path) -> None:
    card = write_tiny(tmp_path / "tiny")
    assert "turned and mirrored" not in readme_of(card, usage="x")
    careful = card.model_copy(update={"all_sides_below": 0.9})
    assert "below 0.9 before calibration" in readme_of(careful, usage="x")


def test_the_hubs_header_comes_first(tmp_path: Path) -> None:
    page = hub_readme(write_tiny(tmp_path / "tiny"), usage="x")
    head = page.split("---\n")[1]
    assert {line.partition(":")[0] for line in head.splitlines() if ":" in line} == {
        "license", "library_name", "pipeline_tag", "tags",
    }  # fmt: skip
