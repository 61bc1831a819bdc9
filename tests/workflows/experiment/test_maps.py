from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from tests.tiny_experiment import write_bench
from tests.tiny_training import tiny_sources

from supcam.core.types import ConfigError, Region, SupcamError
from supcam.learn.recipe import Recipe, read_recipe
from supcam.learn.run import run_finetuning, run_pretraining
from supcam.learn.sources import PartsReader
from supcam.workflows.experiment.maps import FIGURES, PAGE, PICTURE, MapsPlan, Weights, draw_maps, told

PARTS = ("lab:train", "lab:fold1", "lab:fold2")
BEFORE = Weights("before", "chance")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn laboratory with its recipes, and a network after step 1 and one after step 2, hardly taught."""
    folder = tmp_path_factory.mktemp("maps")
    write_bench(folder)
    recipe = read_recipe(folder / "tiny" / "full.toml")
    first = run_pretraining(recipe, sources=tiny_sources(validated=8), folder=folder / "first")
    run_finetuning(
        recipe.started_from(first.checkpoint), sources=tiny_sources(validated=8), folder=folder / "second"
    )
    return folder


def plan_of(folder: Path, output: Path, *names: str) -> MapsPlan:
    """A plan of weights by chance and the runs of these names."""
    runs = [Weights(name, str(folder / name / "checkpoints" / "last.ckpt")) for name in names]
    return MapsPlan(folder / "tiny" / "plain.toml", weights=(BEFORE, *runs), parts=PARTS, output=output)


def test_maps_before_and_after_each_step_with_their_figures(folder: Path, tmp_path: Path) -> None:
    seen = draw_maps(plan_of(folder, tmp_path / "maps", "first", "second"))
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [FIGURES, PAGE, PICTURE]
    assert cv2.imread(str(tmp_path / "maps" / PICTURE)) is not None
    values = json.loads((tmp_path / "maps" / FIGURES).read_text())
    assert values["pictures"] == {
        "lab": {"instance": 12, "touching": 3, "overlapping": 0, "touching_overlapping": 0}
    }
    networks = values["networks"]
    assert [one["name"] for one in networks] == ["before", "first", "second"]
    assert [one["learnt_from_what_is_shown"] for one in networks] == [[], ["lab:train"], ["lab:train"]]
    assert len({one["silhouette"] for one in networks}) == 3, "three networks, three views"
    read = [one["macro_recall_by_neighbours"]["all"] for one in networks]
    assert all(one["low"] <= one["value"] <= one["high"] for one in read)
    assert read[2]["difference"] == pytest.approx(read[2]["value"] - read[0]["value"], abs=1e-4)
    assert all(one["laboratory_of_single_chromosomes"] is None for one in networks), "one laboratory"
    page = (tmp_path / "maps" / PAGE).read_text()
    assert page.splitlines() == [*told(seen)]
    assert [line.split(" | ")[0] for line in page.splitlines()[2:]] == ["| before", "| first", "| second"]


def test_same_seed_makes_the_same_files(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_maps(plan_of(folder, tmp_path / name))
    for name in (PICTURE, PAGE, FIGURES):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_model_folder_can_be_shown_and_says_what_it_learnt_from(folder: Path, tmp_path: Path) -> None:
    model = Path(__file__).resolve().parents[3] / "src" / "supcam" / "pack" / "models" / "default"
    plan = replace(plan_of(folder, tmp_path / "maps"), weights=(Weights("shipped", str(model)),), how="pca")
    (seen,) = draw_maps(plan)
    assert seen.learnt_from == ()
    assert seen.read["all"].value > 0.9, "drawn pairs lie apart from drawn singles in a trained network"


def test_networks_that_find_other_objects_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with another foreground, by which a picture more is none of a chromosome."""
    regions = PartsReader.regions

    def fewer(reader: PartsReader, recipe: Recipe, *, parts: Sequence[str]) -> tuple[Region, ...]:
        found = regions(reader, recipe, parts=parts)
        return found[1:] if recipe.pretrain is not None else found

    monkeypatch.setattr(PartsReader, "regions", fewer)
    with pytest.raises(ConfigError, match="14 objects for first, not 15"):
        draw_maps(plan_of(folder, tmp_path / "maps", "first"))
    assert not (tmp_path / "maps").exists()


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"weights": ()}, "networks none"),
        ({"weights": (BEFORE, BEFORE)}, "before, before"),
        ({"parts": ("lab:nobody",)}, "lab:nobody"),
    ],
)
def test_plans_that_cannot_be_drawn_are_refused(
    folder: Path, tmp_path: Path, change: dict[str, object], wrong: str
) -> None:
    plan = replace(plan_of(folder, tmp_path / "maps"), **change)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=wrong):
        draw_maps(plan)
    assert not (tmp_path / "maps").exists()


def test_one_case_cannot_be_read_and_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SupcamError, match="1 cases"):
        draw_maps(replace(plan_of(folder, tmp_path / "maps"), parts=("lab:train",)))
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(SupcamError, match="something there already"):
        draw_maps(plan_of(folder, tmp_path))
