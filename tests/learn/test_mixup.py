from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, tiny_recipe

from supcam.learn.batches import Batch, stack
from supcam.learn.classification import classification_loss
from supcam.learn.encoder import Network
from supcam.learn.finetune import Finetuning
from supcam.learn.mixup import Mixed, mixed, partners_of


def stripes(n: int) -> Batch:
    return stack([Stripes().draw(np.random.default_rng(i)) for i in range(n)], step=0)


def mix(batch: Batch, *, seed: int = 1, **train: object) -> Mixed:
    torch.manual_seed(seed)
    found = mixed(batch, config=tiny_recipe(**train).train)
    assert found is not None
    return found


def test_mixup_is_the_weighted_mean_of_each_picture_and_its_partner() -> None:
    batch = stripes(6)
    found = mix(batch, picture_mixing="mixup")
    others = batch.pictures[found.partners]
    torch.testing.assert_close(found.pictures, found.share * batch.pictures + (1 - found.share) * others)
    assert sorted(found.partners.tolist()) == [*range(6)]
    assert not (found.partners == torch.arange(6)).any()


def test_cutmix_takes_every_pixel_from_one_of_the_two_by_its_share() -> None:
    batch = stripes(6)
    batch = batch._replace(pictures=torch.rand(batch.pictures.shape))
    for seed in range(5):
        found = mix(batch, seed=seed, picture_mixing="cutmix")
        own = found.pictures == batch.pictures
        assert (own | (found.pictures == batch.pictures[found.partners])).all()
        assert own.float().mean().item() == pytest.approx(float(found.share), abs=1e-6)


def test_nothing_is_mixed_unless_asked_for() -> None:
    assert mixed(stripes(4), config=tiny_recipe().train) is None


def test_loss_of_a_mixed_batch_weighs_both_labels() -> None:
    """By plain words: the share of the loss by own labels, the rest by the partners'."""
    recipe = tiny_recipe(picture_mixing="mixup")
    module = Finetuning(Network(recipe.network, seed=1), config=recipe.train)
    module.eval()
    batch = stripes(4)
    batch = batch._replace(types=torch.tensor([0, 1, -1, 0]))
    found = mix(batch, seed=7, picture_mixing="mixup")
    torch.manual_seed(7)
    loss = module.terms_of(batch).total
    output = module.network(found.pictures)
    own = classification_loss(output, batch=batch, config=recipe.train).total
    others = partners_of(batch, partners=found.partners)
    assert others.types.tolist() == batch.types[found.partners].tolist()
    rest = classification_loss(output, batch=others, config=recipe.train).total
    torch.testing.assert_close(loss, found.share * own + (1 - found.share) * rest)
