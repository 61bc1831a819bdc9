"""The chromosome probability below which an object is rejected: as high as keeps nearly all chromosomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from supcam.core.types import SupcamError

LEAST_OBJECTS = 50
"""Fewer objects with chromosomes fix no threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class Chances:
    """Objects of metaphases: chromosome probability, number of chromosomes (0: none), role of the case."""

    chances: Float[np.ndarray, " objects"]
    n_chromosomes: Int[np.ndarray, " objects"]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rejection:
    """A threshold and what it does to the objects that it was fitted on.

    ``chromosomes_kept`` is the share of chromosomes in objects at or above it, ``others_rejected`` the share
    of objects without a chromosome below it.
    """

    threshold: float
    chromosomes_kept: float
    others_rejected: float
    fitted_on: tuple[str, ...]


def fit_rejection(
    table: Chances, *, keep: float = 0.999, roles_kept_back: Sequence[str] = ("report",)
) -> Rejection:
    """The highest threshold at which at least ``keep`` (a share) of all chromosomes are kept.

    An object is kept when its probability is not below the threshold. Raises ``SupcamError`` for a role kept
    back for reporting, and for fewer than ``LEAST_OBJECTS`` objects with chromosomes.
    """
    holds = table.n_chromosomes > 0
    _check(table, n_holding=int(holds.sum()), kept_back=roles_kept_back)
    order = np.argsort(table.chances[holds], kind="stable")
    sorted_chances = table.chances[holds][order]
    numbers = table.n_chromosomes[holds][order]
    lost_below = np.cumsum(numbers) - numbers
    allowed = (1 - keep) * numbers.sum()
    starts_a_tie = np.append([True], sorted_chances[1:] != sorted_chances[:-1])
    threshold = float(sorted_chances[starts_a_tie & (lost_below <= allowed + 1e-9)][-1])
    kept = table.chances >= threshold
    return Rejection(
        threshold=threshold,
        chromosomes_kept=float(table.n_chromosomes[kept].sum() / table.n_chromosomes.sum()),
        others_rejected=float(1 - kept[~holds].mean()) if (~holds).any() else 1.0,
        fitted_on=tuple(sorted(set(table.roles))),
    )


def _check(table: Chances, *, n_holding: int, kept_back: Sequence[str]) -> None:
    forbidden = sorted(set(table.roles) & set(kept_back))
    if forbidden:
        raise SupcamError(
            f"metaphases of role {', '.join(forbidden)}",
            expected=f"roles other than {', '.join(kept_back)}",
            remedy="fit on the selection role, and report on another",
        )
    if n_holding < LEAST_OBJECTS:
        raise SupcamError(
            f"{n_holding} objects with chromosomes",
            expected=f"at least {LEAST_OBJECTS}",
            remedy="evaluate the model on more metaphases with boxes",
        )
