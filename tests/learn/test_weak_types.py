from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.harvested import harvest
from tests.tiny_training import tiny_recipe, two_steps

from supcam.core.config import CropConfig
from supcam.core.types import ClusterType, TrainingError
from supcam.data.harvest import EMPTY, Harvest
from supcam.learn.checkpoints import FORMAT_VERSION, OWN_KEY, write_atomically
from supcam.learn.encoder import Network
from supcam.learn.weak_types import with_weak_types

TOUCHING, OVERLAPPING, BOTH = list(ClusterType)[1:]


def teacher(folder: Path, *, chances: Sequence[float]) -> Path:
    """A classifier that gives every picture these type probabilities."""
    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"crop": CropConfig(size_px=32, width_px=4.0)})
    network = Network(recipe.network, seed=0)
    torch.nn.init.zeros_(network.type_head.weight)
    network.type_head.bias.data = torch.tensor(chances).log()
    state = {f"average.{name}": value for name, value in network.state_dict().items()}
    own = {"format_version": FORMAT_VERSION, "recipe": recipe.model_dump(mode="json"), "data_hash": "x"}
    path = folder / "teacher.ckpt"
    write_atomically({"state_dict": state, "global_step": 1, OWN_KEY: own}, path=path)
    return path


def counted(*counts: int | None) -> Harvest:
    """A cluster of unknown type for each number."""
    first = harvest().clusters[0]
    return replace(EMPTY, clusters=tuple(replace(first, type=None, n_chromosomes=n) for n in counts))


def types(found: Harvest) -> list[ClusterType | None]:
    return [region.type for region in found.clusters]


def test_a_sure_answer_becomes_the_type(tmp_path: Path) -> None:
    sure = teacher(tmp_path, chances=[0.01, 0.9, 0.05, 0.04])
    assert types(with_weak_types(counted(2, 3, 7), checkpoint=sure, least=0.8)) == [TOUCHING] * 3


def test_an_unsure_one_does_not(tmp_path: Path) -> None:
    unsure = teacher(tmp_path, chances=[0.1, 0.4, 0.3, 0.2])
    assert types(with_weak_types(counted(2, 3), checkpoint=unsure, least=0.8)) == [None, None]


def test_what_the_number_rules_out_is_left_out_of_the_certainty(tmp_path: Path) -> None:
    """Of two chromosomes the half given to instance and both says nothing: 0.4 of 0.5 is 0.8."""
    doubtful = teacher(tmp_path, chances=[0.3, 0.1, 0.4, 0.2])
    found = with_weak_types(counted(2, 3), checkpoint=doubtful, least=0.79)
    assert types(found) == [OVERLAPPING, None]


def test_both_needs_three_chromosomes(tmp_path: Path) -> None:
    both = teacher(tmp_path, chances=[0.01, 0.02, 0.01, 0.96])
    assert types(with_weak_types(counted(2, 3), checkpoint=both, least=0.9)) == [None, BOTH]


@pytest.mark.parametrize("number", [None, 1])
def test_without_a_number_of_several_nothing_is_asked(number: int | None, tmp_path: Path) -> None:
    sure = teacher(tmp_path, chances=[0.01, 0.97, 0.01, 0.01])
    assert types(with_weak_types(counted(number), checkpoint=sure, least=0.5)) == [None]


def test_everything_else_stays_as_it_is(tmp_path: Path) -> None:
    sure = teacher(tmp_path, chances=[0.01, 0.01, 0.97, 0.01])
    before = harvest()
    after = with_weak_types(before, checkpoint=sure, least=0.8)
    assert after.singles is before.singles
    assert after.debris is before.debris
    typed = [region.type for region in before.clusters if region.type is not None]
    assert [one.type for one in after.clusters[: len(typed)]] == typed
    assert {one.type for one in after.clusters[len(typed) :]} == {OVERLAPPING}
    for old, new in zip(before.clusters, after.clusters, strict=True):
        np.testing.assert_array_equal(old.stain, new.stain)


def test_a_picture_is_asked_in_all_its_symmetries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    own = Network.forward

    def watched(self: Network, picture: torch.Tensor) -> object:
        seen.append(picture.clone())
        return own(self, picture)

    monkeypatch.setattr(Network, "forward", watched)
    with_weak_types(counted(2), checkpoint=teacher(tmp_path, chances=[0.25] * 4), least=0.8)
    assert len(seen) == 8
    assert len({picture.numpy().tobytes() for picture in seen}) == 8
    assert len({round(float(picture.sum()), 3) for picture in seen}) == 1


def test_a_backbone_without_classifier_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "first.ckpt"
    own = {
        "format_version": FORMAT_VERSION,
        "step": "pretrain",
        "recipe": two_steps().model_dump(mode="json"),
    }
    write_atomically({"state_dict": {}, "global_step": 1, OWN_KEY: own}, path=path)
    with pytest.raises(TrainingError, match="without a classifier"):
        with_weak_types(counted(2), checkpoint=path, least=0.8)
