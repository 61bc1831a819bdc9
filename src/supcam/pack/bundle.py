"""A model folder: loaded, verified, run with ONNX Runtime. What training packed is what everybody uses."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float32

from supcam.core.config import ImageConfig
from supcam.core.crop import Square, network_input, region_from_crop
from supcam.core.image import GreyImage, grey_from_array, outside_mask, read_grey, to_stain
from supcam.core.reading import read_jointly
from supcam.core.types import (
    BundleError,
    ClusterType,
    Decision,
    ImageError,
    Mask,
    Prediction,
    Region,
    Stain,
)
from supcam.pack.card import Calibration, Card, CardText
from supcam.pack.folder import OUTPUT_NAMES, BundleFiles, Outputs, Probe, read_folder

DEFAULT_MODEL = Path(__file__).parent / "models" / "default"
"""The bundle that the package carries."""
PROBE_TOLERANCE = 1e-3
"""Largest difference from the probe's expected outputs, as a share of 1 + the output's largest value."""
_BATCH = 64

Pictures = Float32[np.ndarray, "batch 1 size size"]
ImageLike = Path | str | np.ndarray
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class ReadCrop:
    """A crop as the network sees it, with what its reader noted (which page of how many, for instance)."""

    square: Square
    notes: tuple[str, ...]


@runtime_checkable
class Tensor(Protocol):
    """An input or output of a session."""

    @property
    def name(self) -> str:
        """Its name in the ONNX file."""
        ...


@runtime_checkable
class Session(Protocol):
    """What is asked of an ONNX Runtime session."""

    def get_inputs(self) -> Sequence[Tensor]:
        """The inputs."""
        ...

    def get_outputs(self) -> Sequence[Tensor]:
        """The outputs."""
        ...

    def run(self, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs called ``names``, in that order."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A verified network with its calibration and its preprocessing; safe to use from several threads."""

    card: Card
    calibration: Calibration
    image: ImageConfig
    session: Session

    def predict(self, images: Iterable[ImageLike]) -> list[Prediction]:
        """One prediction for each crop, in order. A crop is a path, or an array for ``grey_from_array``.

        A crop was chosen by somebody, so that none is rejected; one that hardly looks like a chromosome goes
        to review. Objects of whole pictures are rejected by ``supcam analyze``.
        Raises ``ImageError`` for the first picture that cannot be read or holds no object; ``supcam
        classify`` goes on instead and lists such pictures. Decoded pictures are held one at a time.
        """
        if isinstance(images, Path | str | np.ndarray):
            raise ImageError(
                "one picture", expected="a list of pictures", remedy="put it in a list: [picture]"
            )
        return self.predict_squares(self.prepare(image) for image in images)

    def predict_regions(self, regions: Iterable[Region]) -> list[Prediction]:
        """One prediction for each region, in order."""
        return self.predict_squares(network_input(region, config=self.card.crop) for region in regions)

    def predict_squares(self, squares: Iterable[Square]) -> list[Prediction]:
        """One prediction for each network input of ``prepare``, in order, in batches; none is rejected."""
        predictions: list[Prediction] = []
        for batch in _batches(squares):
            predictions += self.read_crops(self.logits(np.stack(batch)[:, None]))
        return predictions

    def prepare(self, image: ImageLike) -> Square:
        """The network's input for one crop. Raises ``ImageError``."""
        return self.read_crop(image).square

    def read_crop(self, image: ImageLike) -> ReadCrop:
        """The network's input for one crop, and what to know about it. Raises ``ImageError``."""
        return read_crop(image, card=self.card, image_config=self.image)

    def read_region(self, image: ImageLike) -> Region:
        """The object of one crop, before it becomes the network's input. Raises ``ImageError``."""
        return _region_of(_grey(image, config=self.image), card=self.card, image_config=self.image)

    def logits(self, pictures: Pictures) -> Outputs:
        """What the network says about network inputs, 64 at a time; untrained heads included."""
        runs = [self._run(pictures[at : at + _BATCH]) for at in range(0, max(len(pictures), 1), _BATCH)]
        if len(runs) == 1:
            return runs[0]
        return Outputs(
            **{name: np.concatenate([getattr(run, name) for run in runs]) for name in OUTPUT_NAMES}
        )

    def read(self, outputs: Outputs) -> list[Prediction]:
        """The predictions for objects of whole pictures, of which some are rejected as no chromosome.

        Raises ``BundleError`` when ``outputs`` are not finite.
        """
        return read_outputs(outputs, card=self.card, calibration=self.calibration)

    def read_crops(self, outputs: Outputs) -> list[Prediction]:
        """The same for what somebody chose: nothing is rejected, what would have been goes to review."""
        never = self.calibration.model_copy(update={"chromosome_threshold": None})
        predictions = read_outputs(outputs, card=self.card, calibration=never)
        return [self._doubted(prediction) for prediction in predictions]

    def _doubted(self, prediction: Prediction) -> Prediction:
        """``prediction``, to be reviewed when an object of a whole picture would be rejected for it."""
        chance, threshold = prediction.chromosome_probability, self.calibration.chromosome_threshold
        if chance is None or threshold is None or chance >= threshold:
            return prediction
        return replace(prediction, decision=Decision.REVIEW)

    def _run(self, pictures: Pictures) -> Outputs:
        return Outputs(*self.session.run(OUTPUT_NAMES, {"picture": np.ascontiguousarray(pictures)}))


def load_model(
    path: Path | str | None = None, *, threads: int | None = None, image: ImageConfig | None = None
) -> Model:
    """The verified model in the folder ``path``; the model that the package carries by default.

    ``threads`` for one batch; by default all cores this process may use. ``image`` holds the limits and the
    polarity for reading picture files. The drawn probe in the folder is run and compared before anything else
    is. Raises ``BundleError`` when the folder is incomplete, of another version, changed since it was made,
    or answers the probe differently here.
    """
    folder = DEFAULT_MODEL if path is None else Path(path)
    if path is None and not folder.is_dir():
        raise BundleError(
            "no default model in this installation",
            expected=f"a model in {folder}",
            remedy="install a released wheel, or name a model folder",
        )
    files = read_folder(folder)
    _check_shape(files)
    session = open_session(files.model, threads=threads, where=str(folder))
    verify_probe(session, probe=files.probe, where=str(folder))
    return Model(
        card=files.card, calibration=files.calibration, image=image or ImageConfig(), session=session
    )


def open_session(model: bytes, *, threads: int | None, where: str) -> Session:
    """An ONNX Runtime session for ``model`` on the CPU. Raises ``BundleError``."""
    import onnxruntime  # noqa: PLC0415  reading a card needs no runtime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        session: Session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises many kinds, all of its own
        raise _no_model(f"a model that does not load ({error})", where=where) from error
    inputs = [item.name for item in session.get_inputs()]
    outputs = [item.name for item in session.get_outputs()]
    if inputs != ["picture"] or set(outputs) != set(OUTPUT_NAMES):
        raise _no_model(f"inputs {inputs} and outputs {outputs}", where=where)
    return session


def _no_model(found: str, *, where: str) -> BundleError:
    return BundleError(
        found,
        expected=f"an ONNX model for this runtime with input picture and outputs {', '.join(OUTPUT_NAMES)}",
        remedy="update onnxruntime, or fetch the bundle again",
        where=where,
    )


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def read_crop(image: ImageLike, *, card: CardText, image_config: ImageConfig) -> ReadCrop:
    """File or array -> grey picture -> stain -> object -> network input. Raises ``ImageError``."""
    grey = _grey(image, config=image_config)
    region = _region_of(grey, card=card, image_config=image_config)
    return ReadCrop(square=network_input(region, config=card.crop), notes=grey.notes)


def _region_of(grey: GreyImage, *, card: CardText, image_config: ImageConfig) -> Region:
    stain = to_stain(grey, config=image_config)
    outside = outside_mask(grey.pixels, white=grey.white)
    return _object_of(stain, outside=outside, card=card, where=grey.where)


def _object_of(stain: Stain, *, outside: Mask, card: CardText, where: str) -> Region:
    """The object of a crop; an error names the file it came from."""
    try:
        return region_from_crop(stain, outside=outside if outside.any() else None, config=card.foreground)
    except ImageError as error:
        raise ImageError(
            error.found, expected=error.expected, remedy=error.remedy, where=error.where or where
        ) from error


def read_outputs(outputs: Outputs, *, card: CardText, calibration: Calibration) -> list[Prediction]:
    """The predictions that belong to ``outputs``, with the heads that ``card`` calls trained.

    Raises ``BundleError`` when a trained head's output is not finite.
    """
    heads, prior = card.heads_trained, calibration.prior
    try:
        reading = read_jointly(
            outputs.type_logits,
            outputs.count_logits if heads.count else None,
            temperature=calibration.temperature,
            prior_ratio=None if prior is None else np.array(prior),
        )
    except ValueError as error:
        raise BundleError(str(error), expected="finite logits", remedy="fetch the bundle again") from error
    chances: list[float | None] = [None] * len(reading.counts)
    if heads.chromosome:
        chances = [float(chance) for chance in _sigmoid(outputs.chromosome_logit[:, 0])]
    return [
        _prediction(probabilities, count=int(count), chance=chance, calibration=calibration)
        for probabilities, count, chance in zip(
            reading.type_probabilities.tolist(), reading.counts, chances, strict=True
        )
    ]


def verify_probe(session: Session, *, probe: Probe, where: str) -> None:
    """Nothing, when the network still says about the drawn probe what it said when it was packed.

    Raises ``BundleError`` beyond ``PROBE_TOLERANCE``.
    """
    try:
        found = session.run(OUTPUT_NAMES, {"picture": probe.picture})
    except Exception as error:  # the runtime raises many kinds, all of its own
        raise _no_model(f"a model that does not run ({error})", where=where) from error
    for name, got in zip(OUTPUT_NAMES, found, strict=True):
        expected = getattr(probe.expected, name)
        if got.shape != expected.shape or not relative_difference(got, expected=expected) <= PROBE_TOLERANCE:
            raise BundleError(
                f"{name} of the probe differs from what it was when the model was packed",
                expected=f"a difference of at most {PROBE_TOLERANCE}",
                remedy="fetch the bundle again, or update onnxruntime",
                where=where,
            )


def relative_difference(
    got: Float32[np.ndarray, "*shape"], *, expected: Float32[np.ndarray, "*shape"]
) -> float:
    """Largest difference as a share of 1 + the largest expected value; NaN when one is not finite."""
    scale = 1 + np.abs(expected, dtype=np.float64).max(initial=0)
    return float(np.abs(got.astype(np.float64) - expected).max(initial=0) / scale)


def _check_shape(files: BundleFiles) -> None:
    size = files.card.crop.size_px
    if files.probe.picture.shape[1:] != (1, size, size):
        raise BundleError(
            f"a probe of shape {files.probe.picture.shape}",
            expected=f"pictures of 1 x {size} x {size}, as the card says",
            remedy="export the bundle again",
            where=files.folder,
        )


def _prediction(
    probabilities: Sequence[float], *, count: int, chance: float | None, calibration: Calibration
) -> Prediction:
    instance, touching, overlapping, both = probabilities
    best = max(range(4), key=probabilities.__getitem__)
    reject = calibration.chromosome_threshold
    rejected = chance is not None and reject is not None and chance < reject
    accepted = not rejected and probabilities[best] >= calibration.accept_threshold
    return Prediction(
        label=None if rejected else ClusterType(best),
        probabilities=(instance, touching, overlapping, both),
        confidence=probabilities[best],
        n_chromosomes=0 if rejected else count,
        decision=Decision.ACCEPT if accepted else Decision.REVIEW,
        chromosome_probability=chance,
    )


def _grey(image: ImageLike, *, config: ImageConfig) -> GreyImage:
    if isinstance(image, np.ndarray):
        return grey_from_array(image, config=config)
    return read_grey(Path(image), config=config)


def _sigmoid(logit: Float32[np.ndarray, " batch"]) -> Float32[np.ndarray, " batch"]:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logit)), dtype=np.float32)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    stream = iter(items)
    while batch := list(islice(stream, _BATCH)):
        yield batch
