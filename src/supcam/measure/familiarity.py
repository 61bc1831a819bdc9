"""What calibration pictures look like, and how far from them a picture may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int

from supcam.core.look import Reference, distances
from supcam.core.types import SupcamError

LEAST_LOOKS = 100
"""Fewer pictures fix neither a reference nor a limit."""
_LEAST_OF_A_TYPE = 20
_RIDGE = 1e-4


@dataclass(frozen=True, slots=True, eq=False)
class KnownLooks:
    """Looks of pictures that hold chromosomes: the type that was read in each, and the role of its case."""

    looks: Float64[np.ndarray, "batch numbers"]
    types: Int[np.ndarray, " batch"]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """The reference and the roles it rests on; its limit keeps the share ``kept`` of ``limit_on``."""

    reference: Reference
    fitted_on: tuple[str, ...]
    limit_on: tuple[str, ...]
    kept: float


def fit_familiarity(
    known: KnownLooks, *, held_out: KnownLooks, keep: float = 0.99, kept_back: Sequence[str] = ("report",)
) -> Familiarity:
    """The reference of ``known``, with the limit that keeps the share ``keep`` of ``held_out``.

    One mean for each type with at least twenty pictures, one spread for all (Lee et al., 2018, on looks
    instead of features). Raises ``SupcamError`` for a role kept back for reporting, and for too few pictures.
    """
    for table in (known, held_out):
        _check(table, kept_back=kept_back)
    types = [kind for kind in np.unique(known.types) if np.sum(known.types == kind) >= _LEAST_OF_A_TYPE]
    means = np.stack([known.looks[known.types == kind].mean(axis=0) for kind in types])
    rest = np.concatenate(
        [known.looks[known.types == kind] - mean for kind, mean in zip(types, means, strict=True)]
    )
    spread = np.cov(rest.T) + _RIDGE * np.diag(rest.var(axis=0) + _RIDGE)
    precision = np.linalg.inv(spread)
    apart = distances(held_out.looks, means=means, precision=precision)
    limit = float(np.quantile(apart, keep))
    return Familiarity(
        reference=Reference(means=means, precision=precision, limit=limit),
        fitted_on=tuple(sorted(set(known.roles))),
        limit_on=tuple(sorted(set(held_out.roles))),
        kept=float(np.mean(apart <= limit)),
    )


def _check(table: KnownLooks, *, kept_back: Sequence[str]) -> None:
    forbidden = sorted(set(table.roles) & set(kept_back))
    if forbidden:
        raise SupcamError(
            f"pictures of role {', '.join(forbidden)}",
            expected=f"roles other than {', '.join(kept_back)}",
            remedy="fit on training and selection roles, and report on another",
        )
    if len(table.looks) < LEAST_LOOKS:
        raise SupcamError(
            f"{len(table.looks)} pictures to know chromosomes by",
            expected=f"at least {LEAST_LOOKS}",
            remedy="evaluate the model on more pictures",
        )
