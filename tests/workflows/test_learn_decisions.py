"""The worked example of docs/service.md on drawn pictures: export, learn a few steps, compare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.commands import supcam_
from tests.drawn_decisions import trainable_bundle, write_export
from tests.tiny_recipe import SCHEDULE

from supcam.core.types import BundleError, ConfigError, ManifestError
from supcam.pack.before_after import read_comparisons
from supcam.pack.bundle import load_model
from supcam.pack.folder import read_card
from supcam.workflows.learn_decisions import DecisionsPlan, learn_from_decisions
from supcam.workflows.terminal import UNUSABLE


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model, an export, a short recipe, and what was learnt."""
    folder = tmp_path_factory.mktemp("decisions")
    trainable_bundle(folder / "old")
    write_export(folder / "decisions.zip")
    (folder / "short.toml").write_text(f"[train]\n{SCHEDULE}\n[data]\ntyped_clusters = true\n")
    done = supcam_(
        "finetune", folder / "short.toml", "--from-decisions", folder / "decisions.zip", "--from",
        folder / "old", "--output", folder / "taught", "--show-in", folder / "data",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "split by case, seed 0" in done.stderr
    return folder


def test_the_new_model_names_its_parent_and_the_decisions(place: Path) -> None:
    new, old = load_model(place / "taught" / "model", threads=1).card, read_card(place / "old")
    assert new.data.hashes["parent weights"] == old.model_sha256 != new.model_sha256
    assert new.version.startswith("1.0.0+decisions.")
    assert "objects of" in new.data.sources[-1]
    assert {figure.role for figure in new.figures} == {"held_out"}
    assert str(place) not in (place / "taught" / "model" / "card.json").read_text()


def test_the_comparison_is_there_three_times_and_where_the_service_looks(place: Path) -> None:
    taught = place / "taught"
    found, wrong = read_comparisons(place / "data" / "comparisons")
    assert (len(found), wrong) == (1, [])
    assert json.loads((taught / "comparison.json").read_text()) == json.loads(found[0].to_json())
    assert found[0].words in (taught / "comparison.md").read_text()
    assert "K-0" not in (taught / "comparison.html").read_text() + (taught / "comparison.json").read_text()
    assert found[0].decided.n_held_out_cases >= 2
    assert found[0].steps == 4


def test_nothing_is_overwritten_and_too_little_is_refused(place: Path, tmp_path: Path) -> None:
    plan = DecisionsPlan(decisions=place / "decisions.zip", output=place / "taught", start=place / "old")
    with pytest.raises(BundleError, match="something there already"):
        learn_from_decisions(plan, tell=print)
    few = write_export(tmp_path / "few.zip", n_cases=2)
    with pytest.raises(ManifestError, match="2 cases"):
        learn_from_decisions(DecisionsPlan(decisions=few, output=tmp_path / "new"), tell=print)
    with pytest.raises(ConfigError, match="a share of"):
        learn_from_decisions(DecisionsPlan(decisions=few, output=tmp_path / "new", share=1.0), tell=print)
    assert not (tmp_path / "new").exists()


def test_neither_a_recipe_nor_decisions_is_exit_code_2(tmp_path: Path) -> None:
    done = supcam_("finetune", "--output", tmp_path / "out")
    assert done.exit_code == UNUSABLE
    assert "--from-decisions" in done.stderr
