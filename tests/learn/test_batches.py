from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from tests.tiny_training import SIZE_PX, Stripes, tiny_recipe

from supcam.core.types import TrainingError
from supcam.learn.batches import (
    Batch,
    Example,
    PairBatches,
    StepSampler,
    TrainingBatches,
    pair_loader,
    reference_examples,
    stack,
    training_loader,
    validation_loader,
)
from supcam.learn.ranks import Share


def same_batch(ours: Batch, theirs: Batch) -> bool:
    return ours.step == theirs.step and all(map(torch.equal, ours[:4], theirs[:4]))


class ThreadWitness(Stripes):
    """Draws pictures that hold the number of threads of the process that drew them."""

    def draw(self, rng: np.random.Generator) -> Example:
        picture = np.zeros((1, 2, 2), np.float32)
        picture[0, 0] = torch.get_num_threads(), cv2.getNumThreads()
        return Example(picture=picture)


def test_sample_of_an_epoch_depends_on_seed_epoch_and_place_alone() -> None:
    config = tiny_recipe(seed=5, pictures_per_epoch=20, batch_size=8).train
    batch = TrainingBatches(Stripes(), config=config)[config.steps_per_epoch + 1]
    for place in range(8):
        alone = Stripes().draw(np.random.default_rng([5, 1, 8 + place]))
        np.testing.assert_array_equal(batch.pictures[place].numpy(), alone.picture)
        assert [int(batch.types[place]), int(batch.counts[place])] == [alone.type, alone.count]
        assert batch.chromosomes[place] == alone.is_chromosome
    assert batch.step == config.steps_per_epoch + 1


def test_pair_of_an_epoch_depends_on_seed_epoch_and_place_alone() -> None:
    config = tiny_recipe(seed=5, pictures_per_epoch=20, batch_size=8).train
    batch = PairBatches(Stripes(), config=config)[config.steps_per_epoch + 1]
    for place in range(8):
        alone = Stripes().draw_pair(np.random.default_rng([5, 1, 8 + place]))
        np.testing.assert_array_equal(batch.queries[place].numpy(), alone.query.picture)
        np.testing.assert_array_equal(batch.keys[place].numpy(), alone.key.picture)
        assert batch.types[place] == alone.query.type
    assert batch.step == config.steps_per_epoch + 1


def test_shares_of_all_processes_are_the_whole_batch() -> None:
    config = tiny_recipe(seed=5, pictures_per_epoch=20, batch_size=8).train
    shares = [Share(rank, ranks=2) for rank in range(2)]
    whole = TrainingBatches(Stripes(), config=config)[3]
    parts = [TrainingBatches(Stripes(), config=config, share=share)[3] for share in shares]
    assert [len(part.types) for part in parts] == [4, 4]
    for place in range(4):
        columns = [torch.as_tensor(part[place]) for part in (*parts, whole)]
        assert torch.equal(torch.cat(columns[:2]), columns[2])
    pairs = [PairBatches(Stripes(), config=config, share=share)[3] for share in shares]
    keys = PairBatches(Stripes(), config=config)[3].keys
    assert torch.equal(torch.cat([part.keys for part in pairs]), keys)


def test_references_are_the_same_for_a_seed_and_never_learnt_from() -> None:
    config = tiny_recipe(pictures_per_epoch=16).train
    first, again = (reference_examples(Stripes(), config=config) for _ in range(2))
    other = reference_examples(Stripes(), config=config.model_copy(update={"seed": 99}))
    pictures = [example.picture.tobytes() for example in first]
    assert pictures == [example.picture.tobytes() for example in again]
    assert not {*pictures} & {example.picture.tobytes() for example in other}
    batches = TrainingBatches(Stripes(), config=config)
    learnt = {picture.tobytes() for step in range(len(batches)) for picture in batches[step].pictures.numpy()}
    assert len({*pictures}) == 256
    assert not learnt & {*pictures}


def test_workers_change_no_pair() -> None:
    alone, shared = (
        list(pair_loader(Stripes(), config=tiny_recipe(workers=workers).train, first_step=7))
        for workers in (0, 2)
    )
    assert [batch.step for batch in alone] == [7, 8, 9]
    for ours, theirs in zip(alone, shared, strict=True):
        assert ours.step == theirs.step
        assert all(map(torch.equal, ours[:3], theirs[:3]))


def test_no_two_batches_of_a_run_are_the_same() -> None:
    batches = TrainingBatches(Stripes(), config=tiny_recipe(epochs=2, pictures_per_epoch=16).train)
    pictures = {batches[step].pictures.numpy().tobytes() for step in range(len(batches))}
    assert len(pictures) == len(batches) == 4


def test_remainder_of_an_epoch_is_left_out() -> None:
    config = tiny_recipe(pictures_per_epoch=20, batch_size=8, epochs=3).train
    assert (config.steps_per_epoch, config.total_steps) == (2, 6)


def test_stacked_examples_keep_their_order_and_labels() -> None:
    first = Example(picture=np.ones((1, 3, 4), np.float32), type=2, count=5)
    second = Example(picture=np.zeros((1, 3, 4), np.float32), is_chromosome=0)
    batch = stack([first, second])
    assert batch.pictures.shape == (2, 1, 3, 4)
    assert batch.types.tolist() == [2, -1]
    assert batch.counts.tolist() == [5, -1]
    assert batch.chromosomes.tolist() == [1, 0]
    assert batch.step == -1


def test_sampler_passes_through_one_epoch_at_a_time() -> None:
    sampler = StepSampler(steps_per_epoch=3)
    passes = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        passes.append(list(sampler))
    assert passes == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_sampler_that_starts_in_an_epoch_skips_what_went_before_it_once() -> None:
    sampler = StepSampler(steps_per_epoch=4, first_step=6)
    assert list(sampler) == [6, 7]
    assert list(sampler) == [6, 7], "asked twice for the same pass, as a loader with workers does"
    sampler.set_epoch(1)
    assert list(sampler) == [6, 7]
    sampler.set_epoch(2)
    assert list(sampler) == [8, 9, 10, 11]
    assert len(sampler) == 4


def test_skipped_steps_are_not_drawn() -> None:
    class Counting(Stripes):
        drawn = 0

        def draw(self, rng: np.random.Generator) -> Example:
            Counting.drawn += 1
            return super().draw(rng)

    loader = training_loader(Counting(), config=tiny_recipe().train, first_step=8)
    assert [batch.step for batch in loader] == [8, 9]
    assert Counting.drawn == 2 * 8


@pytest.mark.parametrize("first_step", [0, 7])
def test_workers_change_nothing(first_step: int) -> None:
    alone = training_loader(Stripes(), config=tiny_recipe(workers=0).train, first_step=first_step)
    shared = training_loader(Stripes(), config=tiny_recipe(workers=2).train, first_step=first_step)
    for epoch in (0, 1):
        for loader in (alone, shared):
            assert isinstance(loader.sampler, StepSampler)
            loader.sampler.set_epoch(epoch)
        pairs = list(zip(alone, shared, strict=True))
        assert [ours.step for ours, _ in pairs] == list(range(max(first_step, 10 * epoch), 10 * (epoch + 1)))
        assert all(same_batch(ours, theirs) for ours, theirs in pairs)


def test_workers_compute_on_one_thread() -> None:
    loader = training_loader(ThreadWitness(), config=tiny_recipe(workers=1, pictures_per_epoch=8).train)
    (batch,) = loader
    assert batch.pictures[0, 0, 0].tolist() == [1.0, 1.0]


def test_source_that_fails_in_a_worker_is_heard() -> None:
    class Broken(Stripes):
        def draw(self, rng: np.random.Generator) -> Example:
            raise TrainingError("a broken source", expected="a picture", remedy="mend it")

    with pytest.raises(TrainingError, match="a broken source"):
        next(iter(training_loader(Broken(), config=tiny_recipe().train)))


def test_validation_loader_gives_every_example_once_in_order(rng: np.random.Generator) -> None:
    examples = [Example(picture=np.full((1, 2, 2), i, np.float32)) for i in range(7)]
    batches = list(validation_loader(examples, batch_size=3))
    assert [len(batch.pictures) for batch in batches] == [3, 3, 1]
    assert torch.cat([batch.pictures[:, 0, 0, 0] for batch in batches]).tolist() == list(range(7))


def test_validation_set_without_an_example_is_refused() -> None:
    with pytest.raises(TrainingError, match="no validation example"):
        validation_loader([], batch_size=3)


def test_stripes_have_the_size_the_tests_count_on(rng: np.random.Generator) -> None:
    assert Stripes().draw(rng).picture.shape == (1, SIZE_PX, SIZE_PX)
