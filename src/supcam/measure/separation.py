"""Features of labelled pictures -> how well types lie apart in them, and how well laboratories do.

Features are centred and made unit vectors first, as ``learn/nearest_mean.py`` does: the features of a network
that was not trained point nearly the same way. Nothing is read with the help of its own case: pictures of one
case share slide, stain and camera. Classes count alike, however many pictures each has, since single
chromosomes are many times as many as all clusters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int, Shaped

from supcam.core.types import ClusterType, MissingExtraError, SupcamError
from supcam.measure.metrics import N_TYPES, mean_of
from supcam.measure.table import UNKNOWN, PredictionTable

try:
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.manifold import TSNE
    from sklearn.metrics import silhouette_samples
    from sklearn.model_selection import LeaveOneGroupOut, PredefinedSplit, cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
except ImportError as error:
    raise MissingExtraError("scikit-learn", extra="measure", error=error) from error

PERPLEXITY = 30.0
_T_SNE_DIMS = 50
_FOLDS = 5

Reducer = Literal["tsne", "pca"]
"""How many dimensions become two: neighbours kept (t-SNE), or the directions of the largest spread."""
Words = Shaped[np.ndarray, " batch"]
Points = Float64[np.ndarray, "batch 2"]


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Features of pictures of known type, each with its source and case; at least two of either type or case.

    ``types`` are ``ClusterType`` values 0..3. Raises ``SupcamError`` where nothing can be told apart.
    """

    features: Float[np.ndarray, "batch dim"]
    types: Int[np.ndarray, " batch"]
    sources: Words
    cases: Words

    def __post_init__(self) -> None:
        n_types, n_cases = len(np.unique(self.types)), len(np.unique(self.case_keys))
        if n_types < 2 or n_cases < 2:
            raise SupcamError(
                f"{len(self.types)} pictures of {n_types} types and {n_cases} cases",
                expected="at least two types, and two cases, so that none is read by itself",
                remedy="name more parts",
            )

    @property
    def case_keys(self) -> Words:
        """Source and case in one word."""
        return np.array([f"{s}\x1f{c}" for s, c in zip(self.sources, self.cases, strict=True)], np.str_)

    @property
    def directions(self) -> Float64[np.ndarray, "batch dim"]:
        """The features as unit vectors, seen from the mean of them all; 0 for one that lies in the mean."""
        centred = self.features.astype(np.float64) - self.features.mean(axis=0, dtype=np.float64)
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        unit: Float64[np.ndarray, "batch dim"] = centred / np.where(lengths > 0, lengths, 1.0)
        return unit


def silhouettes_by_type(embedded: Embedded) -> dict[ClusterType, float]:
    """The mean silhouette (Rousseeuw, 1987) of each type that occurs, -1..1; around 0 types lie mixed.

    A picture's silhouette compares its mean distance to its own type with that to the nearest other one.
    """
    values = silhouette_samples(embedded.directions, embedded.types)
    return {kind: mean_of(values[embedded.types == kind]) for kind in ClusterType if kind in embedded.types}


def read_by_neighbours(embedded: Embedded, *, neighbours: int) -> PredictionTable:
    """Every picture's type as its nearest neighbours among the pictures of other cases have it.

    The nearer ones weigh more (1 / distance), and there are as many as there can be up to ``neighbours``.
    Probabilities are 1 for what was read, and no number is read.
    """
    keys, n = embedded.case_keys, len(embedded.types)
    largest_case = int(np.unique(keys, return_counts=True)[1].max())
    reader = KNeighborsClassifier(min(neighbours, n - largest_case), weights="distance")
    read = cross_val_predict(reader, embedded.directions, embedded.types, groups=keys, cv=LeaveOneGroupOut())
    return PredictionTable(
        paths=np.array([str(place) for place in range(n)], np.str_),
        cases=embedded.cases,
        sources=embedded.sources,
        folds=np.full(n, "", np.str_),
        true_types=embedded.types.astype(np.int64),
        true_counts=np.full(n, UNKNOWN),
        probabilities=np.eye(N_TYPES)[read],
        predicted_counts=np.zeros(n, np.int64),
        accepted=np.zeros(n, bool),
        rejected=np.zeros(n, bool),
    )


def laboratory_read(embedded: Embedded) -> float | None:
    """How often the source of a single chromosome is read from its features, as the mean over the sources.

    Read by a linear discriminant (shrunk covariance, Ledoit and Wolf, 2004; sources equally likely) that saw
    other cases only: each source's cases are dealt to up to five folds. Single chromosomes alone, so that
    another mix of types does not give the source away. By chance 1 / number of sources; ``None`` unless there
    are two sources with two cases each.
    """
    rows = embedded.types == ClusterType.INSTANCE
    sources, keys = embedded.sources[rows], embedded.case_keys[rows]
    named = np.unique(sources)
    if len(named) < 2 or any(len(np.unique(keys[sources == name])) < 2 for name in named):
        return None
    reader = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage="auto", priors=np.full(len(named), 1 / len(named))
    )
    folds = PredefinedSplit(_dealt(sources, keys=keys))
    read = cross_val_predict(reader, embedded.directions[rows], sources, cv=folds)
    return float(np.mean([mean_of(read[sources == name] == name) for name in named]))


def _dealt(sources: Words, *, keys: Words) -> Int[np.ndarray, " batch"]:
    """A fold for each picture, cases whole; every source's cases are dealt in turn, so each fold has some."""
    by_source = [np.unique(keys[sources == source]) for source in np.unique(sources)]
    n_folds = min(_FOLDS, *(len(cases) for cases in by_source))
    fold_of = {str(case): place % n_folds for cases in by_source for place, case in enumerate(cases)}
    return np.array([fold_of[str(key)] for key in keys], np.int64)


def drawn_rows(
    types: Int[np.ndarray, " batch"], *, sources: Words, most: int, rng: np.random.Generator
) -> Int[np.ndarray, " some"]:
    """Rows in order: of each type of each source all, or ``most`` of them drawn by ``rng``."""
    chosen: list[int] = []
    for source in np.unique(sources):
        for kind in ClusterType:
            rows = np.flatnonzero((sources == source) & (types == kind))
            chosen += [int(row) for row in (rng.permutation(rows)[:most] if len(rows) > most else rows)]
    return np.array(sorted(chosen), np.int64)


def flat(embedded: Embedded, *, how: Reducer, seed: int) -> Points:
    """A place on the plane for each picture; the same ones for the same seed and packages.

    t-SNE (van der Maaten and Hinton, 2008) starts from the principal axes.
    """
    directions = embedded.directions
    n_axes = 2 if how == "pca" else min(_T_SNE_DIMS, *directions.shape)
    axes = PCA(n_axes, svd_solver="full").fit_transform(directions)
    if how == "pca":
        return np.asarray(axes, np.float64)
    perplexity = min(PERPLEXITY, (len(axes) - 1) / 3)
    placed = TSNE(2, init="pca", perplexity=perplexity, random_state=seed).fit_transform(axes)
    return np.asarray(placed, np.float64)
