"""Adaptation: what helped and what did not, cases held out whole, and one short run from end to end."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tests.drawn_pieces import drawn_region
from tests.tiny_training import tiny_recipe

from supcam.core.config import CropConfig
from supcam.core.types import ClusterType, Region, TrainingError
from supcam.learn.adaptation import AdaptConfig, Adapted, Change, adapt_network
from supcam.learn.checkpoints import FORMAT_VERSION, OWN_KEY, load_network, write_atomically
from supcam.learn.encoder import Network

SHORT = AdaptConfig(confidence=0.25, pictures=16, batch_size=8, composed=20, learning_rate=1e-3)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of a network that takes everything for one chromosome."""
    path = tmp_path_factory.mktemp("adapt") / "last.ckpt"
    recipe = tiny_recipe().model_copy(update={"crop": CropConfig(size_px=48, width_px=6.0)})
    network = Network(recipe.network, seed=5)
    with torch.no_grad():
        network.type_head.bias[0] = 4
        network.count_head.bias[0] = 4
        network.chromosome_head.bias[0] = 4
    state = {f"average.{name}": value for name, value in network.state_dict().items()}
    own = {"recipe": recipe.model_dump(mode="json"), "data_hash": "", "format_version": FORMAT_VERSION}
    write_atomically({"state_dict": state, OWN_KEY: own, "global_step": 0}, path=path)
    return path


def _regions(n: int) -> list[Region]:
    return [
        replace(drawn_region(place, case=0), case=f"case{place % 2}", type=None, n_chromosomes=None)
        for place in range(n)
    ]


def test_a_network_is_adapted_and_judged_on_cases_that_it_did_not_see(weights: Path, tmp_path: Path) -> None:
    before = weights.read_bytes()
    regions = _regions(28)
    labelled = [replace(one, type=ClusterType.INSTANCE, n_chromosomes=1) for one in regions[:6]]
    done = adapt_network(weights, regions=regions, labelled=labelled, config=SHORT, folder=tmp_path / "run")
    assert weights.read_bytes() == before
    assert (done.n_objects, done.n_singles, done.n_held_out) == (28, 14, 14)
    assert load_network(done.checkpoint).step == 2
    assert done.composed.n == 20
    assert done.labelled is not None
    assert done.labelled.before == 1.0
    assert not done.helped
    assert "keep the model that you have" in done.told()


def test_too_few_cases_or_single_chromosomes_are_refused(weights: Path, tmp_path: Path) -> None:
    one_case = [replace(one, case="same") for one in _regions(4)]
    with pytest.raises(TrainingError, match="two or more"):
        adapt_network(weights, regions=one_case, config=SHORT, folder=tmp_path / "run")
    with pytest.raises(TrainingError, match="confident single chromosomes"):
        adapt_network(weights, regions=_regions(4), config=SHORT, folder=tmp_path / "run")


def _change(*, low: float, gain: float = 0.1) -> Change:
    return Change("some", n=10, before=0.5, after=0.5 + gain, low=low, high=0.5)


def test_labels_decide_where_there_are_some() -> None:
    done = Adapted(Path(), 1, 1, 1, _change(low=0.1), _change(low=0.1), _change(low=-0.1), margin=0.01)
    assert not done.helped
    assert replace(done, labelled=None).helped
    assert not replace(done, labelled=None, steady=_change(low=-0.3, gain=-0.2)).helped
    assert replace(done, labelled=_change(low=0.01)).helped
