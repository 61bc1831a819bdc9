from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, same, tiny_recipe, tiny_sources, two_steps

from supcam.core.config import CropConfig
from supcam.learn.batches import Example, pair_loader, training_loader
from supcam.learn.checkpoints import FINETUNE, PRETRAIN
from supcam.learn.kept_batches import drawing_of, make_room
from supcam.learn.ranks import Share
from supcam.learn.recipe import Recipe
from supcam.learn.run import run_finetuning, run_pretraining


class Counted(Stripes):
    """Counts what it draws."""

    n_draws = 0

    def draw(self, rng: np.random.Generator) -> Example:
        Counted.n_draws += 1
        return super().draw(rng)


CONFIG = tiny_recipe(pictures_per_epoch=32, epochs=1).train


@dataclass(frozen=True)
class Spent(Stripes):
    """Draws nothing: whatever comes was kept."""

    def draw(self, rng: np.random.Generator) -> Example:
        raise AssertionError("drawn again")


@pytest.mark.parametrize("make", [training_loader, pair_loader])
def test_batches_are_the_same_drawn_and_kept(make: object, tmp_path: Path) -> None:
    assert callable(make)
    drawn = list(make(Stripes(), config=CONFIG))
    first = list(make(Stripes(), config=CONFIG, kept=tmp_path))
    again = list(make(Spent(), config=CONFIG, kept=tmp_path))
    assert len(drawn) == 4
    for batches in (first, again):
        for ours, theirs in zip(batches, drawn, strict=True):
            assert type(ours) is type(theirs)
            assert ours.step == theirs.step
            assert all(map(torch.equal, ours[:-1], theirs[:-1]))


def test_what_is_damaged_or_gone_is_drawn_again(tmp_path: Path) -> None:
    drawn = list(training_loader(Stripes(), config=CONFIG, kept=tmp_path))
    files = sorted(tmp_path.glob("*.npz"))
    assert len(files) == 4
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:200])
    files[2].write_bytes(b"no archive")
    again = list(training_loader(Stripes(), config=CONFIG, kept=tmp_path))
    for ours, theirs in zip(again, drawn, strict=True):
        assert torch.equal(ours.pictures, theirs.pictures)
    kept = list(training_loader(Spent(), config=CONFIG, kept=tmp_path))
    assert torch.equal(kept[1].pictures, drawn[1].pictures)


def test_a_place_that_cannot_be_written_keeps_nothing_and_stops_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    drawn = list(training_loader(Stripes(), config=CONFIG, kept=blocked / "below"))
    assert len(drawn) == 4
    assert blocked.read_text() == "in the way"


def test_a_process_keeps_its_own_share(tmp_path: Path) -> None:
    shares = [Share(rank, ranks=2) for rank in range(2)]
    for _ in range(2):
        parts = [
            list(training_loader(Stripes(), config=CONFIG, share=share, kept=tmp_path)) for share in shares
        ]
        whole = list(training_loader(Stripes(), config=CONFIG))
        for first, second, both in zip(*parts, whole, strict=True):
            assert torch.equal(torch.cat([first.pictures, second.pictures]), both.pictures)


def name(recipe: Recipe, *, step: str = FINETUNE, data_hash: str = "a") -> str:
    schedule = recipe.train if step == FINETUNE else recipe.pretrain
    assert schedule is not None
    return drawing_of(recipe, step=step, schedule=schedule, data_hash=data_hash)


def test_runs_that_differ_in_how_they_learn_draw_the_same() -> None:
    base = two_steps()
    learners = [
        two_steps(method="in_batch", learning_rate=1e-4, queue_slots=128),
        two_steps(train={"stage": "probe", "count_weight": 0.0, "picture_mixing": "mixup"}),
        base.model_copy(update={"network": tiny_recipe().network.model_copy(update={"channels": (4,) * 4})}),
        base.model_copy(update={"data": {"validation": {"other": ["a:train"]}}}),
    ]
    for step in (FINETUNE, PRETRAIN):
        assert {name(one, step=step) for one in learners} == {name(base, step=step)}


def test_whatever_a_picture_follows_from_is_in_the_name() -> None:
    base = two_steps()
    others = [
        two_steps(train={"seed": 4}),
        two_steps(train={"batch_size": 4}),
        two_steps(train={"pictures_per_epoch": 160}),
        two_steps(train={"compose": False}),
        base.model_copy(update={"data": {"single_share": 0.5}}),
        base.model_copy(update={"composition": {"max_gap_px": 9.0}}),
        base.model_copy(update={"views": {"noise": 0.2}}),
        base.model_copy(update={"crop": CropConfig(size_px=64)}),
    ]
    names = [name(one) for one in (base, *others)] + [name(base, step=PRETRAIN), name(base, data_hash="b")]
    assert len({*names}) == len(names)


def test_a_run_learns_the_same_from_kept_batches(tmp_path: Path) -> None:
    recipe = two_steps(pictures_per_epoch=32, epochs=1, train={"pictures_per_epoch": 32, "epochs": 1})
    counted = Counted()
    Counted.n_draws = 0
    sources = replace(tiny_sources(), train=counted, pretrain=counted)
    keeping = replace(sources, kept_in=tmp_path / "kept")
    weights, draws = [], []
    for turn, used in (("plain", sources), ("drawing", keeping), ("kept", keeping)):
        first = run_pretraining(recipe, sources=used, folder=tmp_path / f"{turn}_1")
        second = recipe.started_from(first.checkpoint)
        done = run_finetuning(second, sources=used, folder=tmp_path / f"{turn}_2")
        weights.append(torch.load(done.checkpoint, weights_only=True)["state_dict"])
        draws.append(counted.n_draws)
    assert draws[1] - draws[0] == draws[0]
    assert draws[2] - draws[1] == draws[0] - 64, "only the pictures that no step learns from"
    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert same(weights[1], weights[0])
    assert same(weights[2], weights[0])


def drawing(folder: Path, *, n_bytes: int, used: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "0_0of1.npz").write_bytes(bytes(n_bytes))
    os.utime(folder, (used, used))
    return folder


def test_room_is_made_by_deleting_what_was_used_longest_ago(tmp_path: Path) -> None:
    old, middle, new = (
        drawing(tmp_path / text, n_bytes=100, used=when)
        for text, when in (("old", 1e9), ("middle", 2e9 - 5), ("new", 2e9))
    )
    make_room(tmp_path, most_bytes=250)
    assert (old.exists(), middle.exists(), new.exists()) == (False, True, True)
    make_room(tmp_path, most_bytes=0)
    assert not list(tmp_path.iterdir())
    make_room(tmp_path / "nowhere", most_bytes=0)


def test_drawings_that_another_command_deletes_meanwhile_are_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = drawing(tmp_path / "kept", n_bytes=100, used=2e9)
    gone = tmp_path / "gone"
    monkeypatch.setattr(Path, "is_dir", lambda _path: True)
    monkeypatch.setattr(
        Path, "iterdir", lambda path: iter([gone, kept] if path == tmp_path else [*path.glob("*")])
    )
    make_room(tmp_path, most_bytes=100)
    assert kept.exists()
