"""Objects -> the user's own functions, by type; what a person must look at goes to none but ``review``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supcam.core.types import ClusterType, ConfigError, Decision, Mask, Prediction
from supcam.spread.crops import mask_on_crop
from supcam.spread.objects import REJECTED, SpreadObject
from supcam.spread.picture import ImageLike
from supcam.spread.result import Analysis

REVIEW, DEFAULT = Decision.REVIEW.value, "default"
HANDLERS = (*(kind.label for kind in ClusterType), REJECTED, REVIEW, DEFAULT)
"""Every name that a handler can have."""


@dataclass(frozen=True, slots=True, eq=False)
class Routable:
    """What a handler is given: one object, or one crop that was predicted.

    ``index`` is its place in the result, from 0; ``picture`` the metaphase's name, blank for a crop.
    ``crop`` is the grey picture around an object, as it was photographed, and ``mask`` its pixels there; both
    are ``None`` for an object that was rejected before the model was asked. For a predicted crop, ``crop`` is
    what was given to ``route``, and ``mask`` and ``item`` are ``None``.
    """

    index: int
    picture: str
    prediction: Prediction | None
    decision: Decision
    type: str
    n_chromosomes: int
    crop: ImageLike | None = None
    mask: Mask | None = None
    item: SpreadObject | None = None


Handler = Callable[[Routable], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Routed:
    """One object after its turn: the name of the handler that took it, ``None`` for none, and its answer."""

    given: Routable
    handler: str | None
    value: Any = None


def route(
    result: Analysis | Sequence[Prediction],
    handlers: Mapping[str, Handler],
    *,
    crops: Sequence[ImageLike] | None = None,
) -> tuple[Routed, ...]:
    """Every object of ``result``, in order, with the answer of the handler that it was given to.

    ``handlers`` are functions by name. ``instance``, ``touching``, ``overlapping`` and
    ``touching_overlapping`` get what was accepted as that type, ``rejected`` what was rejected without doubt,
    ``review`` all that a person must look at, whatever its type. ``default`` gets what was accepted as a type
    without a handler of its own; it never gets what is for review or rejected. An object without a handler is
    in the answer with ``handler=None``. ``crops`` are the pictures behind predictions, as many and in the
    same order. Raises ``ConfigError`` for an unknown name, a handler that cannot be called, or crops that do
    not go with ``result``; what a handler raises is passed on, with a note that says for which object.
    """
    check_handlers(handlers)
    return tuple(_handed(each, handlers=handlers) for each in _routables(result, crops=crops))


def handler_name(given: Routable, *, handlers: Mapping[str, Handler]) -> str | None:
    """The name of the handler for ``given``; ``None`` when there is none among ``handlers``."""
    if given.decision is Decision.REVIEW:
        return REVIEW if REVIEW in handlers else None
    if given.type in handlers:
        return given.type
    return DEFAULT if given.type != REJECTED and DEFAULT in handlers else None


def check_handlers(handlers: Mapping[str, object]) -> None:
    """Nothing, when all names are known and all handlers can be called. Raises ``ConfigError``."""
    unknown = [name for name in handlers if name not in HANDLERS]
    if unknown:
        raise ConfigError(
            f"a handler called {unknown[0]!r}",
            expected=f"names among {', '.join(HANDLERS)}",
            remedy="correct the name",
        )
    for name, handler in handlers.items():
        if not callable(handler):
            raise ConfigError(
                f"a handler {name} of type {type(handler).__name__}",
                expected="a function that takes one object",
                remedy="give the function itself",
            )


def _handed(given: Routable, *, handlers: Mapping[str, Handler]) -> Routed:
    name = handler_name(given, handlers=handlers)
    if name is None:
        return Routed(given, handler=None)
    try:
        return Routed(given, handler=name, value=handlers[name](given))
    except Exception as error:
        place = f"object {given.item.object_id} of {given.picture}" if given.item else f"crop {given.index}"
        error.add_note(f"raised by the handler {name!r} of supcam.route for {place} ({given.type})")
        raise


def _routables(
    result: Analysis | Sequence[Prediction], *, crops: Sequence[ImageLike] | None
) -> Iterator[Routable]:
    if isinstance(result, Analysis):
        if crops is not None:
            raise ConfigError(
                "crops beside an analysis", expected="an analysis alone", remedy="its objects have their own"
            )
        return (_of_object(item, index=n, name=result.name) for n, item in enumerate(result.objects))
    if crops is not None and len(crops) != len(result):
        raise ConfigError(
            f"{len(crops)} crops and {len(result)} predictions",
            expected="one crop for each prediction",
            remedy="give the pictures that were predicted, in the same order",
        )
    return (
        _of_prediction(each, index=n, crop=None if crops is None else crops[n])
        for n, each in enumerate(result)
    )


def _of_object(item: SpreadObject, *, index: int, name: str) -> Routable:
    return Routable(
        index=index,
        picture=name,
        prediction=item.prediction,
        decision=item.decision,
        type=item.type,
        n_chromosomes=item.n_chromosomes,
        crop=item.crop,
        mask=None if item.crop is None else mask_on_crop(item),
        item=item,
    )


def _of_prediction(prediction: Prediction, *, index: int, crop: ImageLike | None) -> Routable:
    return Routable(
        index=index,
        picture="",
        prediction=prediction,
        decision=prediction.decision,
        type=prediction.type,
        n_chromosomes=prediction.n_chromosomes,
        crop=crop,
    )
