from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.drawn_chrcluster import draw_folder, write_recipe
from tests.interrupted import ending
from tests.tiny_training import same

from supcam.core.types import ClusterType, ConfigError, ManifestError, TrainingError
from supcam.data.split import read_roles
from supcam.learn.recipe import read_recipe
from supcam.workflows import reproduce as workflow
from supcam.workflows.reproduce import (
    ReproducePlan,
    check_data,
    default_recipe,
    parse_seeds,
    reproduce,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_folder(tmp_path_factory.mktemp("data") / "ChrCluster")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe") / "tiny.toml")


def silent(_: str) -> None:
    """Nobody listens."""


def values(output: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((output / "table.json").read_text(encoding="utf-8"))
    return read


# ---- before anything is trained


def test_default_recipe_is_the_full_size_one() -> None:
    found = read_recipe(default_recipe())
    assert (found.network.backbone, found.crop.size_px) == ("resnet50", 224)
    assert found.pretrain is not None


def test_seeds_are_numbers_each_once() -> None:
    assert parse_seeds("3, 1,3") == (3, 1)
    for text in ("", "1,", "a", "-1", "1.5"):
        with pytest.raises(ConfigError, match="seeds"):
            parse_seeds(text)


def test_seed_is_that_of_both_steps(recipe: Path) -> None:
    found = read_recipe(recipe).seeded(7)
    assert found.pretrain is not None
    assert (found.pretrain.seed, found.train.seed) == (7, 7)


def test_check_tells_counts_hash_map_and_what_is_not_as_published(
    data: Path, recipe: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    plan = ReproducePlan(data=data, output=tmp_path / "out", recipe=recipe)
    check_data(plan, tell=told.append)
    text = "\n".join(told)
    assert "60 pictures by folder: 0 (instance) 24, 1 (touching) 12" in text
    assert "SHA-256" in text
    assert "warning: found 60 pictures that can be opened, expected 6,592" in text
    assert not plan.output.exists()
    with pytest.raises(ManifestError, match="expected the data set as it was published"):
        check_data(replace(plan, strict=True), tell=silent)


def test_label_map_comes_from_the_plan_or_else_from_the_recipe(data: Path, tmp_path: Path) -> None:
    source = '[data.sources.chrcluster]\nsource = "chrcluster"\npath = "."\n'
    labels = 'label_map = { 0 = "touching", 1 = "instance", 2 = "overlapping", 3 = "touching_overlapping" }\n'
    mapped = write_recipe(tmp_path / "mapped.toml", more=source + labels)
    plan = ReproducePlan(data=data, output=tmp_path / "out", recipe=mapped)
    assert check_data(plan, tell=silent).manifest.label_map[0] is ClusterType.TOUCHING
    given = replace(plan, label_map=dict(enumerate(ClusterType)))
    assert check_data(given, tell=silent).manifest.label_map[0] is ClusterType.INSTANCE


def test_recipe_that_draws_its_data_is_refused(data: Path, tmp_path: Path) -> None:
    drawing = write_recipe(tmp_path / "drawing.toml", more="[data.drawn]\ncases = 1\n")
    with pytest.raises(ConfigError, match="drawn"):
        check_data(ReproducePlan(data=data, output=tmp_path / "out", recipe=drawing), tell=silent)


def test_missing_gpu_is_missed_before_anything_is_written(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match="no CUDA device"):
        reproduce(ReproducePlan(data=data, output=tmp_path / "out"), tell=silent)
    assert not (tmp_path / "out").exists()


def test_names_without_cases_leave_the_published_split_alone(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []
    monkeypatch.setattr(workflow, "_run_seed", lambda *_, split, **__: trained.append(split))
    plan = ReproducePlan(
        data=draw_folder(tmp_path / "chr", cased=False), output=tmp_path / "out", recipe=recipe, seeds=(1,)
    )
    told: list[str] = []
    page = reproduce(plan, tell=told.append).page.read_text(encoding="utf-8")
    assert trained == ["lin"]
    assert any("split case: none, since names of folders and files do not tell" in line for line in told)
    assert "| this recipe | by picture (Lin et al.) | seed 1 | report | not run |" in page
    assert "| this recipe | by case | – | report | no such split: names" in page
    assert "94.09 (92.01-95.76)" in page
    assert "94.99" in page


# ---- all of it


@pytest.fixture(scope="module")
def finished(data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> ReproducePlan:
    """Lin's split, two seeds."""
    torch.set_num_threads(1)
    output = tmp_path_factory.mktemp("reproduced") / "out"
    plan = ReproducePlan(data=data, output=output, recipe=recipe, seeds=(1, 2), splits=("lin",))
    reproduce(plan, tell=silent)
    return plan


@pytest.mark.slow
def test_table_has_every_seed_their_mean_and_the_published_figures(finished: ReproducePlan) -> None:
    rows = values(finished.output)["rows"]
    assert [row["run"] for row in rows] == ["published", "published", "seed 1", "seed 2", "mean of 2 seeds"]
    mine = rows[2:]
    assert all(row["n_pictures"] == 6 and not row["status"] for row in mine)
    for name in ("accuracy", "macro_recall", "specificity_macro", "specificity_micro"):
        one, two, mean = (row["figures"][name] for row in mine)
        assert mean == pytest.approx((one + two) / 2)
        assert all(row["intervals"][name]["low"] <= row["figures"][name] for row in mine)
    assert mine[0]["intervals"]["accuracy"]["n_resamples"] == 0, "exact, since every picture is its own case"
    report = json.loads((finished.output / "lin/seed1/scores/report/report.json").read_text(encoding="utf-8"))
    assert report["provenance"]["role"] == "report"
    assert report["overall"]["figures"]["specificity_macro"] == pytest.approx(
        mine[0]["figures"]["specificity_macro"]
    )


@pytest.mark.slow
def test_what_is_finished_is_not_done_again_and_seeds_can_be_added(
    finished: ReproducePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    class AskedError(Exception):
        pass

    def train_by(recipe: Any, **_: object) -> None:  # noqa: ANN401
        asked.append(recipe.train.seed)
        raise AskedError

    monkeypatch.setattr(workflow, "train_by", train_by)
    reproduce(finished, tell=silent)
    assert asked == []
    with pytest.raises(AskedError):
        reproduce(replace(finished, seeds=(1, 2, 3)), tell=silent)
    assert asked == [3]
    statuses = [row["status"] for row in values(finished.output)["rows"][2:]]
    assert statuses == ["", "", "not run", ""]


@pytest.mark.slow
def test_other_data_and_another_recipe_are_refused_in_the_same_folder(
    finished: ReproducePlan, tmp_path: Path
) -> None:
    assert finished.recipe is not None
    other = tmp_path / "other.toml"
    other.write_text(finished.recipe.read_text(encoding="utf-8").replace("1e-2", "2e-2"))
    with pytest.raises(TrainingError, match="another recipe"):
        reproduce(replace(finished, recipe=other), tell=silent)
    swapped = dict(enumerate(ClusterType)) | {0: ClusterType.TOUCHING, 1: ClusterType.INSTANCE}
    with pytest.raises(TrainingError, match="another label_map"):
        reproduce(replace(finished, label_map=swapped), tell=silent)


@pytest.mark.slow
def test_killed_reproduction_goes_on_and_ends_like_the_uninterrupted_one(
    finished: ReproducePlan, tmp_path: Path
) -> None:
    """By the command itself, killed in step 1; the folder of pictures lies elsewhere afterwards."""
    moved = tmp_path / "moved"
    draw_folder(moved)
    output, first = tmp_path / "out", Path("lin/seed1/run")
    assert finished.recipe is not None
    arguments = ["--data", moved, "--output", output, "--recipe", finished.recipe, "--seeds", "1"]
    command = [sys.executable, "-m", "supcam", "reproduce", "chrcluster", *arguments, "--split", "lin"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.DEVNULL) as killed:
        while killed.poll() is None and not (output / first / "pretrain/checkpoints/last.ckpt").exists():
            time.sleep(0.02)
        killed.kill()
        assert killed.wait() == -signal.SIGKILL
    assert not (output / "lin/seed1/scores").exists()
    reproduce(replace(finished, output=output, seeds=(1,)), tell=silent)
    for step in ("pretrain", "finetune"):
        assert same(ending(output / first / step), ending(finished.output / first / step))
    ours, theirs = (values(one)["rows"][2]["figures"] for one in (output, finished.output))
    assert ours == theirs


@pytest.mark.slow
def test_damaged_picture_of_the_scored_role_is_told_and_in_no_figure(recipe: Path, tmp_path: Path) -> None:
    data = draw_folder(tmp_path / "chr")
    plan = ReproducePlan(data=data, output=tmp_path / "out", recipe=recipe, seeds=(1,), splits=("case",))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(workflow, "_run_seed", lambda *_, **__: None)
        reproduce(replace(plan, output=tmp_path / "look"), tell=silent)
    roles = read_roles(tmp_path / "look" / "case" / "roles.csv")
    case = roles.cases(source="chrcluster", role="report")[0]
    picture = next((data / "2").glob(f"{case}_*.png"))
    picture.write_bytes(picture.read_bytes()[:200])
    told: list[str] = []
    done = reproduce(plan, tell=told.append)
    assert any(
        f"warning: found 1 files that cannot be read, expected none: 2/{case}_" in line for line in told
    )
    assert [item.path for item in done.check.unreadable] == [picture]
    row = values(plan.output)["rows"][2]
    assert (row["n_pictures"], row["n_cases"], row["n_unread"]) == (9, 2, 1)
    assert "1 pictures of the role could not be read" in done.page.read_text(encoding="utf-8")
