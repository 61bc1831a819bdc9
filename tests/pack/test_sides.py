"""Looks from eight sides, on a network whose outputs are weighted sums of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from supcam.pack.folder import Outputs
from supcam.pack.sides import from_all_sides

SIZE = 5
WEIGHTS = np.random.default_rng(3).normal(size=(12, SIZE, SIZE)).astype(np.float32)


class Network:
    """Remembers how many pictures it was asked about."""

    def __init__(self) -> None:
        self.asked = 0

    def logits(self, pictures: np.ndarray) -> Outputs:
        self.asked += len(pictures)
        sums = np.einsum("bchw,ohw->bo", pictures, WEIGHTS)
        return Outputs(
            type_logits=sums[:, :4],
            count_logits=sums[:, 4:9],
            chromosome_logit=sums[:, 9:10],
            embedding=sums[:, 10:],
            type_map=np.repeat(sums[:, :4, None, None], 2, axis=2),
        )


def pictures(n: int) -> np.ndarray:
    return np.random.default_rng(8).random((n, 1, SIZE, SIZE), dtype=np.float32)


def symmetries(picture: np.ndarray) -> list[np.ndarray]:
    """By the group's definition: four quarter turns of the picture, and of its mirror image."""
    return [np.rot90(each, n) for each in (picture, np.fliplr(picture)) for n in range(4)]


def test_logits_of_unsure_pictures_are_the_mean_over_the_eight_symmetries() -> None:
    network, shown = Network(), pictures(3)
    once = network.logits(shown)
    unsure = np.array([False, True, True])
    found = from_all_sides(once, pictures=shown, unsure=unsure, logits=network.logits)
    for row in (1, 2):
        views = np.stack(symmetries(shown[row, 0]))
        assert len({view.tobytes() for view in views}) == 8
        mean = np.einsum("bhw,ohw->bo", views, WEIGHTS).mean(axis=0)
        np.testing.assert_allclose(found.type_logits[row], mean[:4], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.count_logits[row], mean[4:9], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.chromosome_logit[row], mean[9:10], rtol=1e-5, atol=1e-5)


def test_sure_pictures_keep_what_was_said_and_are_not_asked_about_again() -> None:
    network, shown = Network(), pictures(4)
    once = network.logits(shown)
    before = {name: getattr(once, name).copy() for name in ("type_logits", "count_logits")}
    network.asked = 0
    unsure = np.array([False, True, False, False])
    found = from_all_sides(once, pictures=shown, unsure=unsure, logits=network.logits)
    assert network.asked == 7
    for name, values in before.items():
        np.testing.assert_array_equal(getattr(found, name)[~unsure], values[~unsure])
        np.testing.assert_array_equal(getattr(once, name), values)


def test_without_an_unsure_picture_nothing_is_asked() -> None:
    network, shown = Network(), pictures(2)
    once = network.logits(shown)
    network.asked = 0
    found = from_all_sides(once, pictures=shown, unsure=np.zeros(2, bool), logits=network.logits)
    assert found is once
    assert network.asked == 0


def test_embedding_and_type_map_stay_those_of_the_picture_as_it_lies() -> None:
    network, shown = Network(), pictures(2)
    once = network.logits(shown)
    found = from_all_sides(once, pictures=shown, unsure=np.ones(2, bool), logits=network.logits)
    np.testing.assert_array_equal(found.embedding, once.embedding)
    np.testing.assert_array_equal(found.type_map, once.type_map)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_or_mirrored_picture_gets_the_same_answer(turns: int) -> None:
    network, shown = Network(), pictures(2)

    def said(asked: np.ndarray) -> np.ndarray:
        whole = np.ascontiguousarray(asked)
        all_unsure = np.ones(len(whole), bool)
        once = network.logits(whole)
        return from_all_sides(once, pictures=whole, unsure=all_unsure, logits=network.logits).type_logits

    for other in (np.rot90(shown, turns, axes=(2, 3)), np.rot90(shown[..., ::-1], turns, axes=(2, 3))):
        np.testing.assert_allclose(said(other), said(shown), rtol=1e-5, atol=1e-5)
