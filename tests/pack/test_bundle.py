"""The model that everybody uses: loading refuses what it must, and predictions are what the folder says."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tests.drawn_crops import draw_crop, write_crop
from tests.tiny_bundle import COUNTS, DIM, SIZE_PX, tiny_model, tiny_parts, write_tiny

from supcam.core.config import CropConfig, ImageConfig
from supcam.core.crop import network_input, region_from_crop
from supcam.core.image import grey_from_array, to_stain
from supcam.core.reading import read_jointly
from supcam.core.types import BundleError, ClusterType, Decision, ImageError, Polarity
from supcam.pack import bundle as bundle_module
from supcam.pack.bundle import DEFAULT_MODEL, Model, load_model, read_crop
from supcam.pack.card import Calibration, CardText, HeadsTrained
from supcam.pack.folder import OUTPUT_NAMES, BundleParts, Outputs, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("models") / "tiny"
    write_tiny(output)
    return output


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return load_model(folder, threads=1)


def squares(n: int) -> np.ndarray:
    return np.random.default_rng(5).random((n, 1, SIZE_PX, SIZE_PX), dtype=np.float32)


def write_changed(output: Path, **changes: object) -> Path:
    """A bundle whose parts were changed before it was sealed: the seal holds, the content does not."""
    parts = tiny_parts(tiny_model())
    write_folder(output, parts=dataclasses.replace(parts, **changes))  # type: ignore[arg-type]
    return output


# ---- loading


def test_a_model_is_loaded_from_a_path_or_its_text(folder: Path) -> None:
    assert load_model(str(folder)).card == load_model(folder).card


def test_loading_verifies_the_probe(tmp_path: Path) -> None:
    probe = tiny_parts(tiny_model()).probe
    bent = dataclasses.replace(probe.expected, embedding=probe.expected.embedding + np.float32(0.01))
    output = write_changed(tmp_path / "b", probe=dataclasses.replace(probe, expected=bent))
    with pytest.raises(BundleError, match="embedding of the probe differs"):
        load_model(output)


def test_a_probe_that_is_not_a_number_never_agrees(tmp_path: Path) -> None:
    probe = tiny_parts(tiny_model()).probe
    bent = dataclasses.replace(probe.expected, type_logits=np.full((2, 4), np.nan, np.float32))
    output = write_changed(tmp_path / "b", probe=dataclasses.replace(probe, expected=bent))
    with pytest.raises(BundleError, match="type_logits of the probe"):
        load_model(output)


def test_a_probe_of_another_length_never_agrees(tmp_path: Path) -> None:
    probe = tiny_parts(tiny_model()).probe
    cut = {name: getattr(probe.expected, name) for name in OUTPUT_NAMES}
    cut["count_logits"] = cut["count_logits"][:, :-1]
    output = write_changed(tmp_path / "b", probe=dataclasses.replace(probe, expected=Outputs(**cut)))
    with pytest.raises(BundleError, match="count_logits of the probe"):
        load_model(output)


def test_the_size_on_the_card_is_the_size_of_the_probe(tmp_path: Path) -> None:
    text = CardText(crop=CropConfig(size_px=96))
    with pytest.raises(BundleError, match="96 x 96"):
        load_model(write_changed(tmp_path / "b", text=text))


def test_bytes_that_are_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError):
        load_model(write_changed(tmp_path / "b", model=b"no model"))


def test_an_unknown_operator_is_refused(tmp_path: Path) -> None:
    made = tiny_model()
    made.graph.node[1].op_type = "Reluctant"
    with pytest.raises(BundleError, match="does not load"):
        load_model(write_changed(tmp_path / "b", model=made.SerializeToString()))


def test_other_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    made = tiny_model()
    made.graph.output.pop()
    with pytest.raises(BundleError, match="type_map"):
        load_model(write_changed(tmp_path / "b", model=made.SerializeToString()))


def test_a_model_that_fails_while_running_is_refused(tmp_path: Path) -> None:
    made = tiny_model()
    del made.graph.node[0].attribute[:]
    made.graph.node[0].attribute.append(helper.make_attribute("strides", [4, 4]))
    made.graph.node[0].attribute.append(helper.make_attribute("pads", [0, 0, 0, 0]))
    made.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 3
    made.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 3
    with pytest.raises(BundleError, match=r"does not (load|run)"):
        load_model(write_changed(tmp_path / "b", model=made.SerializeToString()))


def test_an_installation_without_a_model_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT_MODEL", tmp_path / "none")
    with pytest.raises(BundleError, match="no default model"):
        load_model()


def test_the_default_model_is_the_one_in_the_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_module, "DEFAULT_MODEL", folder)
    assert load_model().card.name == "tiny"


def test_half_weights_run_in_float32(tmp_path: Path) -> None:
    """A weight stored in float16 and cast: folded when loaded, so outputs are float32."""
    made = tiny_model()
    kernel = next(item for item in made.graph.initializer if item.name == "kernel")
    values = onnx.numpy_helper.to_array(kernel).astype(np.float16)
    kernel.CopyFrom(onnx.numpy_helper.from_array(values, "kernel.half"))
    made.graph.node.insert(0, helper.make_node("Cast", ["kernel.half"], ["kernel"], to=TensorProto.FLOAT))
    write_folder(tmp_path / "b", parts=tiny_parts(made))
    assert load_model(tmp_path / "b").logits(squares(1)).embedding.dtype == np.float32


def test_loading_needs_neither_torch_nor_measuring_packages(folder: Path) -> None:
    code = f"""
import sys
from supcam.pack.bundle import load_model
assert "onnxruntime" not in sys.modules
load_model({str(folder)!r})
heavy = {{"torch", "onnx", "scipy", "pandas", "sklearn", "matplotlib", "lightning", "timm"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


@pytest.mark.skipif(not DEFAULT_MODEL.is_dir(), reason="no default model in this installation")
def test_the_model_that_comes_along_is_small_compared_and_calibrated() -> None:
    model = load_model(threads=1)
    assert sum(path.stat().st_size for path in DEFAULT_MODEL.iterdir()) <= 12_000_000
    assert model.card.comparison is not None
    assert model.card.comparison.n_pictures > 100
    assert model.calibration.fitted_on
    assert model.card.data.sources
    labels = {prediction.label for prediction in model.predict([draw_crop(seed=s) for s in range(6)])}
    assert labels <= {*ClusterType, None}


# ---- running


def test_outputs_have_the_shapes_of_the_contract(model: Model) -> None:
    outputs = model.logits(squares(3))
    assert outputs.type_logits.shape == (3, 4)
    assert outputs.count_logits.shape == (3, COUNTS)
    assert outputs.chromosome_logit.shape == (3, 1)
    assert outputs.embedding.shape == (3, DIM)
    assert outputs.type_map.shape == (3, 4, 15, 15)


def test_the_type_map_averages_to_the_type_logits(model: Model) -> None:
    outputs = model.logits(squares(2))
    assert outputs.type_map.mean(axis=(2, 3)) == pytest.approx(outputs.type_logits, abs=1e-4)


def test_many_pictures_are_run_in_batches_with_one_answer(model: Model) -> None:
    pictures = squares(130)
    together = model.logits(pictures)
    assert together.type_logits.shape == (130, 4)
    for index in (0, 63, 64, 129):
        alone = model.logits(pictures[index : index + 1])
        assert alone.type_logits[0] == pytest.approx(together.type_logits[index], abs=1e-4)


def test_no_pictures_give_no_predictions(model: Model) -> None:
    assert model.predict([]) == []
    assert model.logits(squares(0)).type_logits.shape == (0, 4)


# ---- looking from all sides


def looking_twice(model: Model, *, below: float) -> Model:
    return dataclasses.replace(model, card=model.card.model_copy(update={"all_sides_below": below}))


def test_only_pictures_that_the_network_is_unsure_of_are_seen_from_all_sides(model: Model) -> None:
    pictures = squares(12)
    once = model.logits(pictures)
    sure = read_jointly(once.type_logits, once.count_logits).type_probabilities.max(axis=1)
    below = float(np.median(sure))
    found = looking_twice(model, below=below).answers(pictures)
    differs = np.any(found.type_logits != once.type_logits, axis=1)
    np.testing.assert_array_equal(differs, sure < below)
    np.testing.assert_array_equal(model.answers(pictures).type_logits, once.type_logits)


def test_a_turned_picture_gets_the_same_answer_once_it_is_seen_from_all_sides(model: Model) -> None:
    picture = squares(1)[0, 0]
    turned = [np.rot90(picture), np.rot90(picture, 2), picture[:, ::-1], picture.T]
    shown = np.stack([picture, *turned])[:, None]
    once = model.logits(shown).type_logits
    all_sides = looking_twice(model, below=1.0).answers(shown).type_logits
    assert np.ptp(once, axis=0).max() > 0.1
    np.testing.assert_allclose(all_sides, np.repeat(all_sides[:1], 5, axis=0), rtol=1e-4, atol=1e-4)


def test_looking_from_all_sides_is_written_on_the_card(tmp_path: Path) -> None:
    text = tiny_parts(tiny_model()).text.model_copy(update={"all_sides_below": 0.9})
    loaded = load_model(write_changed(tmp_path / "careful", text=text), threads=1)
    assert loaded.card.all_sides_below == 0.9


def test_no_pictures_are_unsure_of_nothing(model: Model) -> None:
    assert looking_twice(model, below=0.9).answers(squares(0)).type_logits.shape == (0, 4)


def test_logits_that_are_no_numbers_are_not_asked_about_again(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = dataclasses.replace(model.logits(squares(1)), type_logits=np.full((1, 4), np.nan, np.float32))
    monkeypatch.setattr(Model, "logits", lambda _model, _pictures: broken)
    with pytest.raises(BundleError, match="not finite"):
        looking_twice(model, below=0.9).answers(squares(1))


# ---- predicting


def test_files_and_arrays_of_one_picture_are_predicted_alike(model: Model, tmp_path: Path) -> None:
    path = write_crop(tmp_path / "a.png", seed=3)
    by_path, by_text, by_array = model.predict([path, str(path), draw_crop(seed=3)])
    assert by_path == by_text == by_array


def test_predictions_keep_the_order_of_the_pictures(model: Model) -> None:
    pictures = [draw_crop(seed=seed) for seed in range(70)]
    backwards = model.predict(list(reversed(pictures)))
    forwards = model.predict(pictures)
    assert [p.label for p in forwards] == [p.label for p in reversed(backwards)]
    assert len(forwards) == 70


def test_a_prediction_is_the_joint_reading_of_the_heads(model: Model) -> None:
    picture = draw_crop(seed=1)
    prediction = model.predict([picture])[0]
    outputs = model.logits(model.prepare(picture)[None, None])
    reading = read_jointly(outputs.type_logits, outputs.count_logits)
    assert prediction.probabilities == pytest.approx(reading.type_probabilities[0].tolist())
    assert prediction.label == ClusterType(int(reading.types[0]))
    assert prediction.n_chromosomes == reading.counts[0]
    assert prediction.confidence == max(prediction.probabilities)
    assert prediction.chromosome_probability == pytest.approx(
        1 / (1 + np.exp(-float(outputs.chromosome_logit[0, 0]))), abs=1e-6
    )


def test_predicting_regions_is_predicting_their_network_inputs(model: Model) -> None:
    stain = to_stain(grey_from_array(draw_crop(seed=2), config=ImageConfig()), config=ImageConfig())
    region = region_from_crop(stain, outside=None, config=model.card.foreground)
    square = network_input(region, config=model.card.crop)
    assert model.predict_regions([region]) == model.predict_squares([square])


@pytest.mark.parametrize("threshold", [0.0, 1.01])
def test_the_threshold_decides(model: Model, threshold: float) -> None:
    judged = dataclasses.replace(model, calibration=Calibration(accept_threshold=threshold))
    expected = Decision.ACCEPT if threshold == 0 else Decision.REVIEW
    assert {p.decision for p in judged.predict([draw_crop(seed=s) for s in range(4)])} == {expected}


def test_a_confidence_at_the_threshold_is_accepted(model: Model) -> None:
    confidence = model.predict([draw_crop()])[0].confidence
    at = dataclasses.replace(model, calibration=Calibration(accept_threshold=confidence))
    above = dataclasses.replace(model, calibration=Calibration(accept_threshold=np.nextafter(confidence, 2)))
    assert at.predict([draw_crop()])[0].decision is Decision.ACCEPT
    assert above.predict([draw_crop()])[0].decision is Decision.REVIEW


def test_the_highest_temperature_doubts_more(model: Model) -> None:
    """Not every higher one does: the types' shares of the possible counts come to weigh more."""
    warm = dataclasses.replace(model, calibration=Calibration(temperature=100.0))
    assert warm.predict([draw_crop()])[0].confidence < model.predict([draw_crop()])[0].confidence


def test_untrained_heads_do_not_speak(model: Model) -> None:
    heads = HeadsTrained(count=False, chromosome=False)
    quiet = dataclasses.replace(model, card=model.card.model_copy(update={"heads_trained": heads}))
    for prediction in quiet.predict([draw_crop(seed=seed) for seed in range(5)]):
        assert prediction.chromosome_probability is None
        assert prediction.label is not None
        assert prediction.n_chromosomes == (1, 2, 2, 3)[prediction.label]


def test_an_object_that_is_no_chromosome_is_rejected_only_where_a_threshold_says_so(model: Model) -> None:
    strict = dataclasses.replace(
        model, calibration=Calibration(accept_threshold=0.0, chromosome_threshold=1.0)
    )
    outputs = model.logits(squares(1))
    rejected = strict.read(outputs)[0]
    assert rejected.label is None
    assert rejected.n_chromosomes == 0
    assert rejected.decision is Decision.REVIEW
    assert model.read(outputs)[0].label is not None


def test_a_crop_is_never_rejected_but_reviewed_when_in_doubt(model: Model) -> None:
    lenient, strict = (
        dataclasses.replace(
            model, calibration=Calibration(accept_threshold=0.0, chromosome_threshold=threshold)
        )
        for threshold in (None, 1.0)
    )
    accepted, doubted = lenient.predict([draw_crop()])[0], strict.predict([draw_crop()])[0]
    assert (accepted.decision, doubted.decision) == (Decision.ACCEPT, Decision.REVIEW)
    assert doubted.label is accepted.label is not None
    assert doubted.n_chromosomes == accepted.n_chromosomes >= 1


def test_logits_that_are_no_numbers_are_an_error_not_an_answer(model: Model) -> None:
    outputs = model.logits(squares(1))
    broken = dataclasses.replace(outputs, type_logits=np.full((1, 4), np.inf, np.float32))
    with pytest.raises(BundleError, match="not finite"):
        model.read(broken)


def test_one_picture_instead_of_a_list_is_named(model: Model, tmp_path: Path) -> None:
    path = write_crop(tmp_path / "a.png")
    for one in (str(path), draw_crop()):
        with pytest.raises(ImageError, match="put it in a list"):
            model.predict(one)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_picture_without_an_object_is_an_error(model: Model, level: int) -> None:
    with pytest.raises(ImageError):
        model.predict([np.full((60, 60), level, np.uint8)])


def test_polarity_can_be_given(folder: Path) -> None:
    bright = 255 - draw_crop(seed=1)
    given = load_model(folder, image=ImageConfig(polarity=Polarity.FLUORESCENCE))
    assert len(given.predict([bright])) == 1


def test_limits_hold_for_files(folder: Path, tmp_path: Path) -> None:
    small = load_model(folder, image=ImageConfig(max_megapixels=0.001))
    with pytest.raises(ImageError):
        small.predict([write_crop(tmp_path / "a.png")])


def test_preparing_leaves_the_array_as_it_was(model: Model) -> None:
    picture = draw_crop()
    before = picture.copy()
    read_crop(picture, card=model.card, image_config=model.image)
    assert np.array_equal(picture, before)


def test_parts_are_kept_as_they_were(tmp_path: Path) -> None:
    parts: BundleParts = tiny_parts(tiny_model())
    before = parts.model
    write_folder(tmp_path / "b", parts=parts)
    assert parts.model == before
