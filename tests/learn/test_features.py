from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, tiny_recipe, tiny_sources, two_steps

from supcam.core.types import TrainingError
from supcam.learn.batches import Example
from supcam.learn.checkpoints import averaged_weights, load_network, read_checkpoint
from supcam.learn.features import backbone_by_chance, backbone_of, features_of
from supcam.learn.run import run_finetuning, run_pretraining


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """More than a batch holds."""
    return [Stripes().draw(np.random.default_rng([5, i])) for i in range(70)]


def test_features_of_a_classifier_are_its_embeddings_in_order(
    tmp_path: Path, examples: list[Example]
) -> None:
    recipe = tiny_recipe(epochs=1, pictures_per_epoch=16)
    recipe = recipe.model_copy(update={"data": {"train": ["lab:train", "lab:fold1"]}})
    done = run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    backbone = backbone_of(done.checkpoint)
    pictures = torch.from_numpy(np.stack([one.picture for one in examples]))
    with torch.inference_mode():
        alone = load_network(done.checkpoint).network(pictures).embedding.numpy()
    np.testing.assert_allclose(features_of(backbone, examples=examples), alone, atol=1e-5)
    assert backbone.learnt_from == ("lab:train", "lab:fold1")


def test_backbone_of_step_1_is_the_averaged_one(tmp_path: Path) -> None:
    recipe = two_steps(epochs=1, pictures_per_epoch=16)
    done = run_pretraining(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    own = backbone_of(done.checkpoint).network.state_dict()
    kept = averaged_weights(read_checkpoint(done.checkpoint))
    backbone = [name for name in own if name.startswith("backbone.")]
    assert backbone
    assert all(torch.equal(own[name], kept[name]) for name in backbone)


def test_chance_is_the_seed_alone_and_truth_has_no_say(examples: list[Example]) -> None:
    seen = features_of(backbone_by_chance(tiny_recipe(seed=1)), examples=examples)
    blind = [replace(one, type=-1, count=-1) for one in examples]
    np.testing.assert_array_equal(seen, features_of(backbone_by_chance(tiny_recipe(seed=1)), examples=blind))
    assert not np.allclose(seen, features_of(backbone_by_chance(tiny_recipe(seed=2)), examples=examples))


def test_drawn_pictures_have_no_parts_and_no_file_is_no_checkpoint(tmp_path: Path) -> None:
    recipe = tiny_recipe(epochs=1, pictures_per_epoch=8).model_copy(update={"data": {"drawn": {}}})
    done = run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    assert backbone_of(done.checkpoint).learnt_from == ()
    with pytest.raises(TrainingError, match="written by supcam train"):
        backbone_of(tmp_path / "nowhere.ckpt")
