"""A checkpoint that learnt from decisions -> a bundle whose card names its parent and the decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from supcam.learn.checkpoints import load_network
from supcam.pack.before_after import BeforeAfter, Change, ModelId
from supcam.pack.card import Calibration, Card, CardText, CardWords, Figure
from supcam.pack.export import ExportPlan, export_network, text_of
from supcam.pack.folder import BundleParts, read_folder, write_folder
from supcam.pack.judging import FOLD

SOURCE = "decisions of a laboratory"


@dataclass(frozen=True, slots=True, eq=False)
class Parentage:
    """Where a new model comes from: its parent with its calibration, and what it learnt from.

    ``learnt`` says it in a sentence; ``sha256`` is the decisions' hash. ``pictures`` are crops on which the
    shipped network is compared with the trained one.
    """

    parent: Card
    calibration: Calibration
    learnt: str
    sha256: str
    version: str = ""
    pictures: Sequence[Path] = ()


def model_id(card: Card) -> ModelId:
    """Which weights a card is about."""
    return ModelId(name=card.name, version=card.version, sha256=card.model_sha256)


def export_offspring(checkpoint: Path, *, output: Path, parentage: Parentage) -> Card:
    """The card of the new bundle in ``output``; raises as ``pack.export.export`` does.

    Temperature and thresholds are the parent's: they were fitted on more than decisions, and on another
    network.
    """
    loaded = load_network(checkpoint)
    text = _text(text_of(loaded, words=_words(parentage)), parentage=parentage)
    plan = ExportPlan(calibration=parentage.calibration, pictures=parentage.pictures)
    return export_network(loaded.network, output=output, text=text, plan=plan).card


def write_offspring(scored: Path, *, output: Path, comparison: BeforeAfter) -> Card:
    """The bundle of ``scored`` once more in ``output``, its card with the figures of ``comparison``."""
    files = read_folder(scored)
    card = files.card
    text = CardText.model_validate({name: getattr(card, name) for name in CardText.model_fields})
    parts = BundleParts(
        model=files.model,
        opset=card.opset,
        weights=card.weights,
        probe=files.probe,
        calibration=files.calibration,
        text=text.model_copy(update={"figures": tuple(_figures(comparison))}),
    )
    return write_folder(output, parts=parts)


def _words(parentage: Parentage) -> CardWords:
    parent = parentage.parent
    roles = {role: cases for role, cases in parent.data.roles.items() if role != FOLD}
    hashes = {
        "parent weights": parent.model_sha256,
        "parent card": parent.seal,
        "decisions": parentage.sha256,
    }
    kept = {
        f"parent {name}".replace("parent parent", "parent"): value
        for name, value in parent.data.hashes.items()
    }
    data = parent.data.model_copy(
        update={"roles": roles, "hashes": kept | hashes, "sources": (*parent.data.sources, parentage.learnt)}
    )
    return CardWords(
        name=parent.name,
        version=parentage.version or f"{parent.version.partition('+')[0]}+decisions.{parentage.sha256[:8]}",
        description=f"{parent.description} This one started from version {parent.version} and went on with "
        f"{parentage.learnt}. Temperature and thresholds are those of that version.".strip(),
        data=data,
        all_sides_below=parent.all_sides_below,
    )


def _text(text: CardText, *, parentage: Parentage) -> CardText:
    """``text`` with the heads that the parent has, and its parent's name in place of a file's."""
    parent = parentage.parent
    training: dict[str, JsonValue] = dict(text.training)
    step = training.get("train")
    if isinstance(step, dict):
        training["train"] = {**step, "init_from": f"{parent.name} {parent.version} {parent.model_sha256}"}
    training["parent"] = {"name": parent.name, "version": parent.version, "sha256": parent.model_sha256}
    return text.model_copy(update={"training": training, "heads_trained": parent.heads_trained})


def _figures(comparison: BeforeAfter) -> list[Figure]:
    n = comparison.decided.n_held_out
    return [_figure(change, n=n) for change in comparison.figures if change.after is not None]


def _figure(change: Change, *, n: int) -> Figure:
    note = "" if change.before is None else f"the parent has {change.before:.3f} on the same objects"
    assert change.after is not None
    return Figure(
        name=change.name,
        value=change.after,
        low=change.after_low,
        high=change.after_high,
        n=n,
        source=SOURCE,
        role=FOLD,
        note=note,
    )
