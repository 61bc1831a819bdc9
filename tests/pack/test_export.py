"""From torch to a folder that travels, with nothing lost on the way and nothing said before it is sure."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, numpy_helper
from tests.drawn_crops import draw_crop, write_crop
from tests.tiny_bundle import tiny_model
from torch import Tensor, nn

from supcam.core.config import CropConfig
from supcam.core.types import BundleError, ConfigError, ImageError, TrainingError
from supcam.learn.checkpoints import write_atomically
from supcam.learn.config import NetworkConfig, TrainConfig
from supcam.learn.encoder import Network, NetworkOutput
from supcam.learn.recipe import Recipe
from supcam.pack import export as export_module
from supcam.pack.bundle import load_model
from supcam.pack.card import Calibration, CardText, CardWords, DataCard
from supcam.pack.export import (
    ExportPlan,
    ExportReport,
    drawn_squares,
    export,
    export_network,
    halve,
    read_plan,
    run_torch,
    to_onnx,
)
from supcam.pack.folder import OUTPUT_NAMES

SIZE_PX = 64
TEXT = CardText(name="small", crop=CropConfig(size_px=SIZE_PX))


class Small(nn.Module):
    """A network of the contract: two convolutions with batch norm, three heads, sure of itself."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(4)
            self.first = nn.Conv2d(1, 16, 5, stride=4)
            self.norm = nn.BatchNorm2d(16)
            self.second = nn.Conv2d(16, 24, 3, stride=2)
            self.type_head, self.count_head, self.chromosome_head = (nn.Linear(24, n) for n in (4, 6, 1))
            for head in (self.type_head, self.count_head, self.chromosome_head):
                nn.init.normal_(head.weight, std=6.0)
            self.train()
            with torch.no_grad():
                for _ in range(20):
                    self(torch.rand(8, 1, SIZE_PX, SIZE_PX))
            self.eval()

    def forward(self, picture: Tensor) -> NetworkOutput:
        features = torch.relu(self.second(torch.relu(self.norm(self.first(picture)))))
        embedding = features.mean(dim=(2, 3))
        return NetworkOutput(
            type_logits=self.type_head(embedding),
            count_logits=self.count_head(embedding),
            chromosome_logit=self.chromosome_head(embedding),
            embedding=embedding,
            type_map=nn.functional.conv2d(features, self.type_head.weight[:, :, None, None]),
        )


@pytest.fixture(scope="module")
def small() -> Small:
    return Small()


@pytest.fixture(scope="module")
def plan() -> ExportPlan:
    return ExportPlan(
        calibration=Calibration(accept_threshold=0.7, fitted_on=("select",)),
        pictures=tuple(draw_crop(seed=seed) for seed in range(20)),
    )


@pytest.fixture(scope="module")
def made(small: Small, plan: ExportPlan, tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export_network(small, output=tmp_path_factory.mktemp("e") / "small", text=TEXT, plan=plan)


@pytest.fixture(scope="module")
def exact(small: Small) -> onnx.ModelProto:
    return to_onnx(small, size_px=SIZE_PX)


@pytest.fixture
def quick(exact: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network's ONNX, made once: the exporter takes seconds."""

    def already_made(_network: nn.Module, *, size_px: int) -> onnx.ModelProto:
        assert size_px == SIZE_PX
        return exact

    monkeypatch.setattr(export_module, "to_onnx", already_made)


# ---- what is shipped is what was trained


def test_the_shipped_network_says_what_the_trained_one_says(made: ExportReport, small: Small) -> None:
    model = load_model(made.folder, threads=1)
    pictures = np.stack([model.prepare(draw_crop(seed=seed)) for seed in range(30, 45)])[:, None]
    shipped, trained = model.logits(pictures), run_torch(small, pictures=pictures)
    for name in OUTPUT_NAMES:
        scale = 1 + np.abs(getattr(trained, name)).max()
        assert getattr(shipped, name) / scale == pytest.approx(getattr(trained, name) / scale, abs=5e-3)
    assert np.array_equal(shipped.type_logits.argmax(axis=1), trained.type_logits.argmax(axis=1))


def test_the_comparison_stands_on_the_card(made: ExportReport) -> None:
    comparison = load_model(made.folder).card.comparison
    assert comparison == made.comparison
    assert comparison is not None
    assert comparison.n_pictures == 20 + len(drawn_squares(TEXT))
    assert comparison.batch_sizes == (1, 3, 16)
    assert 0 < comparison.largest_difference < 5e-3
    assert comparison.changed_decisions == 0


def test_the_report_is_one_line_that_says_it_all(made: ExportReport) -> None:
    line = made.told()
    assert "\n" not in line
    for part in ("float16", "pictures in batches of 1, 3, 16", "0 decisions differ", "MB"):
        assert part in line
    assert made.n_bytes == sum(path.stat().st_size for path in made.folder.iterdir())


def test_card_and_calibration_are_those_of_the_plan(made: ExportReport, plan: ExportPlan) -> None:
    model = load_model(made.folder)
    assert model.calibration == plan.calibration
    assert model.card.name == "small"
    assert model.card.weights == "float16"
    assert model.card.opset == export_module.OPSET


def test_any_batch_size_runs(made: ExportReport) -> None:
    model = load_model(made.folder)
    for n in (1, 2, 5):
        assert model.logits(np.zeros((n, 1, SIZE_PX, SIZE_PX), np.float32)).type_logits.shape == (n, 4)


def test_the_type_map_averages_to_the_type_logits(made: ExportReport, small: Small) -> None:
    outputs = load_model(made.folder).logits(drawn_squares(TEXT))
    bias = small.type_head.bias.detach().numpy()
    assert outputs.type_map.mean(axis=(2, 3)) + bias == pytest.approx(outputs.type_logits, abs=1e-3)


def test_full_weights_are_larger_and_nearer(
    quick: None, made: ExportReport, small: Small, plan: ExportPlan, tmp_path: Path
) -> None:
    full = export_network(
        small, output=tmp_path / "full", text=TEXT, plan=dataclasses.replace(plan, weights="float32")
    )
    assert full.card.weights == "float32"
    assert full.comparison.largest_difference < min(1e-5, made.comparison.largest_difference)
    sizes = [(report.folder / "model.onnx").stat().st_size for report in (full, made)]
    assert sizes[0] > sizes[1]


def test_the_same_network_makes_the_same_bundle(
    made: ExportReport, small: Small, plan: ExportPlan, tmp_path: Path
) -> None:
    again = export_network(small, output=tmp_path / "again", text=TEXT, plan=plan)
    assert again.card == made.card


def test_the_file_tells_nothing_about_the_machine(made: ExportReport) -> None:
    content = (made.folder / "model.onnx").read_bytes()
    assert not re.search(rb"\.py|stack_trace|site-packages", content)
    assert str(Path.cwd()).encode() not in content


def test_the_network_is_left_as_it_was(small: Small, exact: onnx.ModelProto) -> None:
    fresh = Small().state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in small.state_dict().items())
    assert exact.opset_import[0].version == export_module.OPSET


# ---- what stops an export


def test_a_network_that_differs_is_not_shipped(
    quick: None, small: Small, plan: ExportPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(network: nn.Module, *, pictures: np.ndarray) -> object:
        outputs = run_torch(network, pictures=pictures)
        return dataclasses.replace(outputs, count_logits=outputs.count_logits + np.float32(0.1))

    monkeypatch.setattr(export_module, "run_torch", elsewhere)
    with pytest.raises(BundleError, match="count_logits of the exported network"):
        export_network(small, output=tmp_path / "b", text=TEXT, plan=plan)
    assert list(tmp_path.iterdir()) == []


def test_weights_too_rough_for_half_are_not_shipped(
    quick: None, small: Small, plan: ExportPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def coarse(model: onnx.ModelProto) -> onnx.ModelProto:
        changed = onnx.ModelProto()
        changed.CopyFrom(model)
        kernel = max(changed.graph.initializer, key=lambda item: int(np.prod(item.dims)))
        rounded = np.round(numpy_helper.to_array(kernel), 1)
        kernel.CopyFrom(numpy_helper.from_array(rounded, kernel.name))
        return changed

    monkeypatch.setattr(export_module, "halve", coarse)
    with pytest.raises(BundleError, match="keep float32 weights"):
        export_network(small, output=tmp_path / "b", text=TEXT, plan=plan)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_stops_the_export_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="never overwritten"):
        export(tmp_path / "missing.ckpt", output=tmp_path)


def test_a_file_that_is_no_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "c.ckpt").write_text("no checkpoint")
    for name in ("c.ckpt", "missing.ckpt"):
        with pytest.raises(TrainingError, match=re.escape(name)):
            export(tmp_path / name, output=tmp_path / "b")


def test_a_picture_that_cannot_be_read_stops_the_export(small: Small, tmp_path: Path) -> None:
    plan = ExportPlan(pictures=(tmp_path / "missing.png",))
    with pytest.raises(ImageError, match=r"missing\.png"):
        export_network(small, output=tmp_path / "b", text=TEXT, plan=plan)


# ---- half weights


def test_halving_stores_matrices_in_half_and_leaves_the_rest(exact: onnx.ModelProto) -> None:
    before = {item.name: numpy_helper.to_array(item) for item in exact.graph.initializer}
    halved = halve(exact)
    after = {item.name: item for item in halved.graph.initializer}
    large = {name for name, value in before.items() if value.ndim >= 2 and value.size >= 1024}
    assert large
    for name, value in before.items():
        stored = after[f"{name}.half"] if name in large else after[name]
        expected = value.astype(np.float16) if name in large else value
        assert np.array_equal(numpy_helper.to_array(stored), expected)
    casts = [node for node in halved.graph.node if node.op_type == "Cast"]
    assert {node.output[0] for node in casts} >= large
    assert before.keys() == {item.name for item in exact.graph.initializer}, "the argument stays as it was"


def test_small_weights_stay_as_they_are() -> None:
    assert halve(tiny_model()).graph.initializer[0].data_type == TensorProto.FLOAT


@pytest.mark.parametrize("value", [70_000.0, float("inf"), float("nan")])
def test_a_weight_beyond_half_precision_is_an_error(exact: onnx.ModelProto, value: float) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(exact)
    kernel = max(broken.graph.initializer, key=lambda item: int(np.prod(item.dims)))
    weights = numpy_helper.to_array(kernel).copy()
    weights.reshape(-1)[0] = value
    kernel.CopyFrom(numpy_helper.from_array(weights, kernel.name))
    with pytest.raises(BundleError, match="not finite in float16"):
        halve(broken)


# ---- from a checkpoint, and from files


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves behind, of a very small network."""
    recipe = Recipe(
        network=NetworkConfig(backbone="resnet10t", channels=(8, 8, 16, 32), max_count=5),
        train=TrainConfig(seed=3),
        crop=CropConfig(size_px=SIZE_PX),
        data={"debris_share": 0.0},
    )
    network = Network(recipe.network, seed=3)
    path = tmp_path_factory.mktemp("run") / "last.ckpt"
    own = {"format_version": 1, "recipe": recipe.model_dump(mode="json"), "data_hash": "ab" * 32}
    state = {f"average.{name}": value for name, value in network.state_dict().items()}
    write_atomically({"supcam": own, "state_dict": state, "global_step": 7}, path=path)
    return path


def test_a_checkpoint_becomes_a_bundle_with_its_whole_story(checkpoint: Path, tmp_path: Path) -> None:
    words = CardWords(name="first", version="0.2.0", data=DataCard(sources=("drawn",)), all_sides_below=0.75)
    plan = ExportPlan(words=words, pictures=(write_crop(tmp_path / "a.png"),))
    report = export(checkpoint, output=tmp_path / "b", plan=plan)
    card = load_model(tmp_path / "b").card
    assert (card.name, card.version) == ("first", "0.2.0")
    assert card.all_sides_below == 0.75
    assert card.crop.size_px == SIZE_PX
    assert card.network["backbone"] == "resnet10t"
    assert card.training["steps"] == 7
    assert card.data.hashes == {"training data": "ab" * 32}
    assert card.heads_trained.count
    assert not card.heads_trained.chromosome
    assert report.comparison.changed_decisions == 0


def test_a_plan_is_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "card.toml").write_text(
        'name = "first"\nversion = "1.0.0"\n[data]\nsources = ["drawn"]\n'
        '[[figures]]\nname = "accuracy"\nvalue = 0.9\nsource = "drawn"\nrole = "report"\n'
    )
    (tmp_path / "c.json").write_text('{"temperature": 1.5, "accept_threshold": 0.8, "fitted_on": ["select"]}')
    plan = read_plan(
        card=tmp_path / "card.toml", calibration=tmp_path / "c.json", pictures=["a.png"], weights="float32"
    )
    assert plan.words.figures[0].role == "report"
    assert plan.calibration.temperature == 1.5
    assert plan.pictures == (Path("a.png"),)
    assert plan.weights == "float32"


def test_a_plan_without_files_is_the_plain_one() -> None:
    plan = read_plan()
    assert plan.words == CardWords()
    assert plan.calibration == Calibration()


@pytest.mark.parametrize("text", ["name = ", 'nmae = "x"', "[crop]\nsize_px = 64", "name = 3"])
def test_a_card_that_says_what_it_may_not_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"card\.toml"):
        read_plan(card=tmp_path / "card.toml")


def test_a_calibration_file_is_checked(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"temperature": -1}')
    for name in ("c.json", "missing.json"):
        with pytest.raises(BundleError, match=re.escape(name)):
            read_plan(calibration=tmp_path / name)


# ---- pictures


def test_drawn_squares_are_the_same_every_time_and_show_something() -> None:
    squares = drawn_squares(TEXT)
    assert squares.shape[1:] == (1, SIZE_PX, SIZE_PX)
    assert np.array_equal(squares, drawn_squares(TEXT))
    assert (squares.max(axis=(1, 2, 3)) > 0.3).all()
    assert len({square.tobytes() for square in squares}) == len(squares)


def test_real_crops_are_read_alike_by_both_networks(
    real_data: Path, checkpoint: Path, tmp_path: Path
) -> None:
    crops = sorted((real_data / "cci").rglob("*.TIF"))[:24]
    report = export(checkpoint, output=tmp_path / "b", plan=ExportPlan(pictures=crops))
    assert report.comparison.n_pictures >= 24
    assert report.comparison.changed_decisions == 0
