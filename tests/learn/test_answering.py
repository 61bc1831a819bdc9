from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.tiny_training import Stripes, tiny_recipe, tiny_sources, two_steps

from supcam.core.types import TrainingError
from supcam.learn.answering import answer
from supcam.learn.batches import Example
from supcam.learn.checkpoints import load_network
from supcam.learn.run import run_finetuning, run_pretraining


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that was taught for one epoch."""
    folder = tmp_path_factory.mktemp("answering") / "run"
    return run_finetuning(tiny_recipe(epochs=1), sources=tiny_sources(), folder=folder).checkpoint


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    """More than a batch holds."""
    return [Stripes().draw(np.random.default_rng([5, i])) for i in range(70)]


def test_answers_stand_in_the_order_of_the_examples(checkpoint: Path, examples: list[Example]) -> None:
    answers = answer(checkpoint, examples=examples)
    network = load_network(checkpoint).network
    with torch.inference_mode():
        alone = network(torch.from_numpy(np.stack([one.picture for one in examples])))
    np.testing.assert_allclose(answers.type_logits, alone.type_logits.numpy(), atol=1e-5)
    assert answers.types.tolist() == [one.type for one in examples]
    assert answers.counts.tolist() == [one.count for one in examples]


def test_truth_has_no_say(checkpoint: Path, examples: list[Example]) -> None:
    blind = [replace(one, type=-1, count=-1) for one in examples[:8]]
    answers, others = (answer(checkpoint, examples=some) for some in (examples[:8], blind))
    np.testing.assert_array_equal(answers.type_logits, others.type_logits)


def test_head_that_was_not_taught_says_nothing(tmp_path: Path, examples: list[Example]) -> None:
    recipe = tiny_recipe(epochs=1, pictures_per_epoch=8, count_weight=0.0)
    result = run_finetuning(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    assert answer(result.checkpoint, examples=examples[:8]).count_logits is None


def test_step_1_has_no_answers(tmp_path: Path, examples: list[Example]) -> None:
    recipe = two_steps(epochs=1, pictures_per_epoch=8)
    first = run_pretraining(recipe, sources=tiny_sources(), folder=tmp_path / "run")
    with pytest.raises(TrainingError, match="without a classifier"):
        answer(first.checkpoint, examples=examples)
