"""Checkpoint -> bundle; the shipped network is compared with the trained one before it says done."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from supcam.core.config import DataConfig, ImageConfig, parse_config, read_toml
from supcam.core.types import BundleError, ClusterType, Polarity
from supcam.data.synthesis import draw_cluster, to_grey
from supcam.learn.checkpoints import LoadedNetwork, load_mean
from supcam.pack.bundle import ImageLike, load_model, read_crop
from supcam.pack.card import Calibration, Card, CardText, CardWords, Comparison, HeadsTrained
from supcam.pack.comparison import EXACT, TOLERANCES, Trained, Weights, compare, run_batches
from supcam.pack.folder import (
    OUTPUT_NAMES,
    BundleParts,
    Outputs,
    Probe,
    read_calibration,
    refuse_existing,
    write_folder,
)
from supcam.pack.quantize import quantize
from supcam.pack.session import Pictures, Session, open_session

OPSET = 18
_LEAST_TO_HALVE = 1024
_BATCH = 16
_PROBE = (
    (ClusterType.INSTANCE, 1),
    (ClusterType.TOUCHING, 2),
    (ClusterType.OVERLAPPING, 2),
    (ClusterType.TOUCHING_OVERLAPPING, 3),
)
_PROBE_SEED = 20230214
_PROBE_RIM_PX = 12
_PROBE_IMAGE = ImageConfig(polarity=Polarity.BRIGHT_FIELD)


@dataclass(frozen=True, slots=True, eq=False)
class ExportPlan:
    """How a bundle is made.

    ``pictures`` are crops, the more the better, on which the shipped network is compared with the trained
    one; drawn ones are always among them. ``weights`` float16 stores them in half the space, rounded;
    computation stays in float32. int8 stores and computes in integers, with scales from ``pictures``.
    """

    words: CardWords = field(default_factory=CardWords)
    calibration: Calibration = field(default_factory=Calibration)
    pictures: Sequence[ImageLike] = ()
    image: ImageConfig = field(default_factory=ImageConfig)
    weights: Weights = "float16"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """A finished bundle: its folder, its card (with the comparison) and the size of its files together."""

    folder: Path
    card: Card
    comparison: Comparison
    n_bytes: int

    def told(self) -> str:
        """The whole report in one line."""
        seen = self.comparison
        sizes = ", ".join(map(str, seen.batch_sizes))
        return (
            f"{self.folder}: {self.n_bytes / 1e6:.2f} MB, weights in {self.card.weights}; ONNX Runtime "
            f"against torch on {seen.n_pictures} pictures in batches of {sizes}: "
            f"outputs differ by at most {seen.largest_difference:.1e}, probabilities by "
            f"{seen.largest_probability_difference:.1e}, {seen.changed_decisions} decisions differ"
        )


def read_plan(
    *,
    card: Path | None = None,
    calibration: Path | None = None,
    pictures: Sequence[str] = (),
    weights: Weights = "float16",
) -> ExportPlan:
    """The plan behind files: ``card`` in TOML with the keys of ``CardWords``, ``calibration`` in JSON.

    Raises ``ConfigError`` or ``BundleError`` for a file that cannot be read, an unknown key, a bad value.
    """
    words = parse_config(CardWords, read_toml(card), where=card) if card else CardWords()
    return ExportPlan(
        words=words,
        calibration=read_calibration(calibration) if calibration else Calibration(),
        pictures=tuple(Path(name) for name in pictures),
        weights=weights,
    )


def export(
    checkpoint: Path, *, output: Path, plan: ExportPlan | None = None, average_with: Sequence[Path] = ()
) -> ExportReport:
    """The bundle of a checkpoint's averaged weights, in the new folder ``output``.

    ``average_with`` are checkpoints of other runs from the same start, averaged in (``load_mean``). Raises
    ``TrainingError`` for a file that is no checkpoint and for networks that cannot be averaged,
    ``ImageError`` for a picture to compare on that cannot be read, ``BundleError`` when ``output`` exists or
    the shipped network differs from the trained one.
    """
    refuse_existing(output)
    plan = plan or ExportPlan()
    loaded = load_mean([checkpoint, *average_with])
    return export_network(loaded.network, output=output, text=text_of(loaded, words=plan.words), plan=plan)


def export_network(network: nn.Module, *, output: Path, text: CardText, plan: ExportPlan) -> ExportReport:
    """The bundle of ``network``, which takes and gives what ``learn.encoder.Network`` does.

    ``text`` says what its input is; raises as ``export`` does.
    """
    refuse_existing(output)
    squares = _squares(plan, text=text)
    exact = to_onnx(network.eval(), size_px=text.crop.size_px)
    shipped = _stored(exact, squares=squares, weights=plan.weights)
    trained = Trained(
        pictures=squares,
        outputs=run_torch(network, pictures=squares),
        text=text,
        calibration=plan.calibration,
    )
    compare(_session(exact.SerializeToString()), trained=trained, tolerance=EXACT)
    model = shipped.SerializeToString()
    comparison = compare(_session(model), trained=trained, tolerance=TOLERANCES[plan.weights])
    parts = BundleParts(
        model=model,
        opset=OPSET,
        weights=plan.weights,
        probe=_probe(model, picture=drawn_squares(text)),
        calibration=plan.calibration,
        text=text.model_copy(update={"comparison": comparison}),
    )
    card = write_folder(output, parts=parts)
    load_model(output, threads=1)
    n_bytes = sum(path.stat().st_size for path in output.iterdir())
    return ExportReport(folder=output, card=card, comparison=comparison, n_bytes=n_bytes)


def _stored(exact: onnx.ModelProto, *, squares: Pictures, weights: Weights) -> onnx.ModelProto:
    """The network as it is shipped."""
    if weights == "int8":
        return quantize(exact, pictures=squares)
    return halve(exact) if weights == "float16" else exact


def _squares(plan: ExportPlan, *, text: CardText) -> Pictures:
    """The network inputs to compare on: drawn ones, and those of the plan's pictures."""
    prepared = [read_crop(picture, card=text, image_config=plan.image).square for picture in plan.pictures]
    return np.concatenate([drawn_squares(text), *(square[None, None] for square in prepared)])


def _probe(model: bytes, *, picture: Pictures) -> Probe:
    """``picture`` with what the shipped network says about it here."""
    return Probe(picture=picture, expected=run_batches(_session(model), pictures=picture, batch_size=1))


def _session(model: bytes) -> Session:
    return open_session(model, threads=1, where="the exported network")


def text_of(loaded: LoadedNetwork, *, words: CardWords) -> CardText:
    """What the card says about a trained network: the maker's words, and the recipe it was trained by."""
    recipe = loaded.recipe
    training = recipe.model_dump(mode="json", exclude={"network", "crop", "foreground"})
    if loaded.averaged_with:
        training["averaged_with"] = [
            other.model_dump(mode="json", include={"train", "data", "composition", "views"})
            for other in loaded.averaged_with
        ]
    if loaded.parts:
        training["parts"] = [*loaded.parts]
    has_debris = float(str(recipe.data.get("debris_share", DataConfig().debris_share))) > 0
    hashes = words.data.hashes | {"training data": loaded.data_hash}
    data = words.data.model_copy(update={"hashes": hashes})
    return CardText(
        **dict(words.model_copy(update={"data": data})),
        heads_trained=HeadsTrained(
            count=recipe.train.count_weight > 0,
            chromosome=recipe.train.chromosome_weight > 0 and has_debris,
        ),
        foreground=recipe.foreground,
        crop=recipe.crop,
        network=recipe.network.model_dump(mode="json"),
        training=training | {"steps": loaded.step},
    )


def to_onnx(network: nn.Module, *, size_px: int) -> onnx.ModelProto:
    """``network`` in ONNX with float32 weights, any batch size, nothing about the machine it was made on."""
    example = (torch.zeros(2, 1, size_px, size_px),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own code
        program = torch.onnx.export(
            network,
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["picture"],
            output_names=list(OUTPUT_NAMES),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            verbose=False,
        )
    if program is None:
        raise BundleError("no ONNX program", expected="a network that exports", remedy="report this")
    return without_traces(program.model_proto)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` without stack traces and other notes of the exporter."""
    clean = onnx.ModelProto()
    clean.CopyFrom(model)
    clean.ClearField("metadata_props")
    clean.ClearField("doc_string")
    graph = clean.graph
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.ClearField("metadata_props")
        item.ClearField("doc_string")
    return clean


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of ``model`` that stores matrices and kernels in float16, and casts them to float32 to compute.

    ONNX Runtime folds the casts when it loads the model. Raises ``BundleError`` for a weight beyond float16.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    casts = []
    for stored in halved.graph.initializer:
        if stored.data_type != TensorProto.FLOAT or len(stored.dims) < 2:
            continue
        weights = numpy_helper.to_array(stored)
        if weights.size < _LEAST_TO_HALVE:
            continue
        name = stored.name
        stored.CopyFrom(numpy_helper.from_array(_rounded(weights, name=name), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *halved.graph.node]
    halved.graph.ClearField("node")
    halved.graph.node.extend(nodes)
    onnx.checker.check_model(halved)
    return halved


def _rounded(weights: np.ndarray, *, name: str) -> np.ndarray:
    if not np.abs(weights).max(initial=0) <= np.finfo(np.float16).max:
        raise BundleError(
            f"a weight of {name} that is not finite in float16",
            expected="weights of ordinary size",
            remedy="look at the training, or keep float32 weights",
        )
    return weights.astype(np.float16)


def run_torch(network: nn.Module, *, pictures: Pictures) -> Outputs:
    """What the trained network says about ``pictures``, 16 at a time, in float32 on the CPU."""
    runs = []
    with torch.inference_mode():
        for at in range(0, len(pictures), _BATCH):
            output = network(torch.from_numpy(pictures[at : at + _BATCH]))
            runs.append({name: getattr(output, name).numpy() for name in OUTPUT_NAMES})
    return Outputs(**{name: np.concatenate([run[name] for run in runs]) for name in OUTPUT_NAMES})


def drawn_squares(text: CardText) -> Pictures:
    """The network inputs of a drawn cluster of each type, the same ones for all bundles of one crop rule."""
    rng = np.random.default_rng(_PROBE_SEED)
    squares = []
    for kind, n_chromosomes in _PROBE:
        stain = draw_cluster(rng, type=kind, n_chromosomes=n_chromosomes).stain
        picture = to_grey(np.pad(stain, _PROBE_RIM_PX), rng=rng)
        squares.append(read_crop(picture, card=text, image_config=_PROBE_IMAGE).square)
    return np.stack(squares)[:, None]
