"""A bundle with another calibration: the same network, its card sealed anew."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from supcam.core.config import parse_config, read_toml
from supcam.core.types import SupcamError
from supcam.measure.familiarity import fit_familiarity
from supcam.measure.rejection import Chances, Rejection, fit_rejection
from supcam.pack.card import Calibration, Card, CardText, CardWords
from supcam.pack.folder import parts_of, read_calibration, read_folder, write_folder
from supcam.pack.looks import read_looks, with_familiarity
from supcam.pack.metaphases import CHANCES_COLUMNS, CHANCES_TABLE


@dataclass(frozen=True, slots=True)
class RecalibrationPlan:
    """What changes.

    ``calibration`` is a JSON as ``supcam pool`` writes it; ``None`` keeps the bundle's own. ``metaphases`` is
    the folder of an evaluation on metaphases with boxes, from which the threshold of rejection is fitted so
    that the share ``keep`` of all chromosomes is kept. ``familiar`` are folders of evaluations whose pictures
    the model is to know by their looks, ``familiar_limit`` those on which the limit of what looks unlike them
    is found. ``card`` holds the maker's new words, in TOML; ``None`` keeps them.
    """

    calibration: Path | None = None
    metaphases: Path | None = None
    keep: float = 0.999
    familiar: tuple[Path, ...] = ()
    familiar_limit: tuple[Path, ...] = ()
    card: Path | None = None


def recalibrate(bundle: Path, *, output: Path, plan: RecalibrationPlan) -> Calibration:
    """The calibration of the new bundle in ``output``; its network is that of ``bundle``, byte for byte.

    Raises ``BundleError`` for a bundle or calibration that cannot be used or an output that exists, and
    ``SupcamError`` for an evaluation that cannot.
    """
    files = read_folder(bundle)
    calibration = read_calibration(plan.calibration) if plan.calibration else files.calibration
    if plan.metaphases:
        rejection = fit_rejection(read_chances(plan.metaphases), keep=plan.keep)
        calibration = with_rejection(calibration, rejection=rejection)
    if plan.familiar or plan.familiar_limit:
        known, held_out = read_looks(plan.familiar), read_looks(plan.familiar_limit)
        calibration = with_familiarity(calibration, found=fit_familiarity(known, held_out=held_out))
    parts = replace(parts_of(files), calibration=calibration, text=_text(files.card, plan=plan))
    write_folder(output, parts=parts)
    return calibration


def _text(card: Card, *, plan: RecalibrationPlan) -> CardText:
    """The card's own words, or the maker's new ones; hashes of training data stay."""
    kept = {name: getattr(card, name) for name in CardText.model_fields}
    if plan.card is None:
        return CardText.model_validate(kept)
    words = parse_config(CardWords, read_toml(plan.card), where=plan.card)
    said = {name: getattr(words, name) for name in words.model_fields_set}
    said["data"] = words.data.model_copy(update={"hashes": card.data.hashes})
    return CardText.model_validate(kept | said)


def with_rejection(calibration: Calibration, *, rejection: Rejection) -> Calibration:
    """``calibration`` with that threshold, and what it rests on."""
    return calibration.model_copy(
        update={
            "chromosome_threshold": rejection.threshold,
            "chromosome_fitted_on": rejection.fitted_on,
            "chromosomes_kept": rejection.chromosomes_kept,
            "others_rejected": rejection.others_rejected,
        }
    )


def read_chances(folder: Path) -> Chances:
    """What an evaluation on metaphases wrote of its objects. Raises ``SupcamError``."""
    path = folder / CHANCES_TABLE
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as stream:
            rows = list(csv.DictReader(stream))
        return Chances(
            chances=np.array([float(row["chromosome_probability"]) for row in rows]),
            n_chromosomes=np.array([int(row["n_chromosomes"]) for row in rows], np.int64),
            roles=tuple(row["fold"] for row in rows),
        )
    except (OSError, KeyError, ValueError) as error:
        raise SupcamError(
            f"no table of objects ({error})",
            expected=f"the columns {', '.join(CHANCES_COLUMNS)}, probabilities in every row",
            remedy="name a folder that supcam evaluate wrote about metaphases with boxes, by a model with a "
            "trained chromosome-or-not head",
            where=path,
        ) from error
