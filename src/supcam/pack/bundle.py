"""A model folder: loaded, verified, run with ONNX Runtime. What training packed is what everybody uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.crop import Square, network_input, region_from_crop
from supcam.core.image import GreyImage, grey_from_array, outside_mask, read_grey, to_stain
from supcam.core.look import look_of
from supcam.core.types import (
    BundleError,
    Decision,
    ImageError,
    Mask,
    Prediction,
    Region,
    Stain,
)
from supcam.pack.card import Calibration, Card, CardText
from supcam.pack.folder import OUTPUT_NAMES, BundleFiles, Outputs, read_folder
from supcam.pack.predicting import jointly, read_outputs
from supcam.pack.session import (
    INTEGER_PROBE_TOLERANCE,
    PROBE_TOLERANCE,
    Pictures,
    Session,
    open_session,
    verify_probe,
)
from supcam.pack.sides import from_all_sides
from supcam.pack.terms import PriorLike, Promise, Terms, make_terms, meet, promise_of, type_sets

DEFAULT_MODEL = Path(__file__).parent / "models" / "default"
"""The bundle that the package carries."""
_BATCH = 64

ImageLike = Path | str | np.ndarray
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class ReadCrop:
    """A crop as the network sees it, with what its reader noted (which page of how many, for instance)."""

    square: Square
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A verified network with its calibration and its preprocessing; safe to use from several threads.

    ``calibration`` is the one in force; where the user's ``terms`` changed it, ``shipped`` came along.
    """

    card: Card
    calibration: Calibration
    image: ImageConfig
    session: Session
    terms: Terms = field(default_factory=Terms)
    shipped: Calibration | None = None

    def under(
        self,
        *,
        prior: PriorLike | None = None,
        max_error: float | None = None,
        set_level: float | None = None,
    ) -> Model:
        """The same network on the user's terms.

        ``prior`` is the mix of types among the user's pictures: ``metaphase``, ``cluster-crops``, or four
        shares. ``max_error`` is what the error of accepted answers must lie below, with 90 % certainty;
        where that cannot be shown, ``promise`` says so. ``set_level`` is the probability with which
        ``Prediction.type_set`` holds the true type, 0.9 unless given. Without any, the model is as it came.
        Raises ``ConfigError`` for terms that mean nothing, ``BundleError`` for a model that cannot meet any.
        """
        return self.on(make_terms(prior=prior, max_error=max_error, set_level=set_level))

    def on(self, terms: Terms) -> Model:
        """The same network on terms that were checked."""
        return replace(self, calibration=meet(self.came, terms=terms), terms=terms, shipped=self.came)

    @property
    def came(self) -> Calibration:
        """The calibration that came with the model, whatever the user's terms."""
        return self.shipped or self.calibration

    @property
    def promise(self) -> Promise:
        """What accepting means, by the answers that came with the model. Raises ``BundleError``."""
        return promise_of(self.came, terms=self.terms)

    def predict(
        self,
        images: Iterable[ImageLike],
        *,
        prior: PriorLike | None = None,
        max_error: float | None = None,
    ) -> list[Prediction]:
        """One prediction for each crop, in order. A crop is a path, or an array for ``grey_from_array``.

        ``prior`` and ``max_error`` are terms for these crops alone, see ``under``. A crop was chosen by
        somebody, so that none is rejected; one that hardly looks like a chromosome goes to review. Objects of
        whole pictures are rejected by ``supcam analyze``.
        Raises ``ImageError`` for the first picture that cannot be read or holds no object; ``supcam
        classify`` goes on instead and lists such pictures. Decoded pictures are held one at a time.
        """
        if isinstance(images, Path | str | np.ndarray):
            raise ImageError(
                "one picture", expected="a list of pictures", remedy="put it in a list: [picture]"
            )
        asked = prior is not None or max_error is not None
        reader = self.under(prior=prior, max_error=max_error) if asked else self
        return reader.predict_squares(self.prepare(image) for image in images)

    def predict_regions(self, regions: Iterable[Region]) -> list[Prediction]:
        """One prediction for each region, in order."""
        return self.predict_squares(network_input(region, config=self.card.crop) for region in regions)

    def predict_squares(self, squares: Iterable[Square]) -> list[Prediction]:
        """One prediction for each network input of ``prepare``, in order, in batches; none is rejected."""
        predictions: list[Prediction] = []
        for batch in _batches(squares):
            read = self.read_crops(self.answers(np.stack(batch)[:, None]))
            predictions += self.reviewed(read, squares=batch)
        return predictions

    def measured(self, predictions: Sequence[Prediction], *, squares: Sequence[Square]) -> list[Prediction]:
        """The same with the unfamiliarity of each picture; as they were for a model without a reference."""
        familiar = self.calibration.familiar
        if familiar is None or not squares:
            return list(predictions)
        found = familiar.reference().unfamiliarity(np.stack([look_of(square) for square in squares]))
        return [
            replace(prediction, unfamiliarity=float(each))
            for prediction, each in zip(predictions, found, strict=True)
        ]

    def reviewed(self, predictions: Sequence[Prediction], *, squares: Sequence[Square]) -> list[Prediction]:
        """The same, and pictures unlike all that the model knows go to review."""
        return [
            replace(each, decision=Decision.REVIEW) if (each.unfamiliarity or 0.0) > 1 else each
            for each in self.measured(predictions, squares=squares)
        ]

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

    def answers(self, pictures: Pictures) -> Outputs:
        """What predictions rest on: ``logits``, of all eight sides where the card asks for that.

        Pictures whose likeliest type has a probability below ``card.all_sides_below`` are asked about again.
        Raises ``BundleError`` when the network's outputs are not finite.
        """
        outputs = self.logits(pictures)
        below = self.card.all_sides_below
        if below == 0:
            return outputs
        unsure = jointly(outputs, card=self.card).type_probabilities.max(axis=1) < below
        return from_all_sides(outputs, pictures=pictures, unsure=unsure, logits=self.logits)

    def read(self, outputs: Outputs) -> list[Prediction]:
        """The predictions for objects of whole pictures, of which some are rejected as no chromosome.

        Raises ``BundleError`` when ``outputs`` are not finite.
        """
        return self._with_sets(read_outputs(outputs, card=self.card, calibration=self.calibration))

    def _with_sets(self, predictions: list[Prediction]) -> list[Prediction]:
        sets = type_sets([p.probabilities for p in predictions], calibration=self.came, terms=self.terms)
        return [replace(p, type_set=each) for p, each in zip(predictions, sets, strict=True)]

    def read_crops(self, outputs: Outputs) -> list[Prediction]:
        """The same for what somebody chose: nothing is rejected, what would have been goes to review."""
        never = self.calibration.model_copy(update={"chromosome_threshold": None})
        predictions = read_outputs(outputs, card=self.card, calibration=never)
        return [self._doubted(prediction) for prediction in self._with_sets(predictions)]

    def _doubted(self, prediction: Prediction) -> Prediction:
        """``prediction``, to be reviewed when an object of a whole picture would be rejected for it."""
        chance, threshold = prediction.chromosome_probability, self.calibration.chromosome_threshold
        if chance is None or threshold is None or chance >= threshold:
            return prediction
        return replace(prediction, decision=Decision.REVIEW)

    def _run(self, pictures: Pictures) -> Outputs:
        return Outputs(*self.session.run(OUTPUT_NAMES, {"picture": np.ascontiguousarray(pictures)}))


def load_model(
    path: Path | str | None = None,
    *,
    threads: int | None = None,
    image: ImageConfig | None = None,
    terms: Terms | None = None,
) -> Model:
    """The verified model in the folder ``path``; the model that the package carries by default.

    ``threads`` for one batch; by default all cores this process may use. ``image`` holds the limits and the
    polarity for reading picture files, ``terms`` what is asked of every answer. The drawn probe in the folder
    is run and compared before anything else is. Raises ``BundleError`` when the folder is incomplete, of
    another version, changed since it was made, or answers the probe differently here.
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
    tolerance = INTEGER_PROBE_TOLERANCE if files.card.weights == "int8" else PROBE_TOLERANCE
    verify_probe(session, probe=files.probe, where=str(folder), tolerance=tolerance)
    model = Model(
        card=files.card, calibration=files.calibration, image=image or ImageConfig(), session=session
    )
    return model if terms is None else model.on(terms)


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


def _check_shape(files: BundleFiles) -> None:
    size = files.card.crop.size_px
    if files.probe.picture.shape[1:] != (1, size, size):
        raise BundleError(
            f"a probe of shape {files.probe.picture.shape}",
            expected=f"pictures of 1 x {size} x {size}, as the card says",
            remedy="export the bundle again",
            where=files.folder,
        )


def _grey(image: ImageLike, *, config: ImageConfig) -> GreyImage:
    if isinstance(image, np.ndarray):
        return grey_from_array(image, config=config)
    return read_grey(Path(image), config=config)


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    stream = iter(items)
    while batch := list(islice(stream, _BATCH)):
        yield batch
