"""The user's own terms: another mix of types, another limit of error; and what can be promised under them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from supcam.core.risk import LEVEL, Answers, Risk, keep_bound, keep_error, risk_of, weigh_answers
from supcam.core.types import BundleError, ClusterType, ConfigError
from supcam.pack.card import Calibration

Prior = tuple[float, float, float, float]
PriorLike = str | Sequence[float]

PRIORS: dict[str, Prior] = {
    "metaphase": (0.7855, 0.1331, 0.0555, 0.0259),
    "cluster-crops": (0.01, 0.5746, 0.3005, 0.1149),
}
"""Mixes of types with a name.

``metaphase``: objects of whole metaphases: 2,135 single ones and 583 clusters in the selection role, these
divided as its 58 typed crops are. ``cluster-crops``: the 112 clusters that people of two laboratories cut out
and typed, and one in a hundred that is none after all (our choice).
"""
SET_LEVEL = 0.9
"""The probability with which a set of types holds the true one, unless another is asked for."""
_LEAST_SHARE = 1e-3
_MOST_RATIO = 1000.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a user asks of a model.

    ``prior`` is the share of each type among the user's pictures, summing to 1; ``None``: as in the data that
    the model was calibrated on. ``max_error`` is what the upper bound of the accepted answers' error must lie
    below; ``None``: the model's own rule. ``set_level`` is the probability with which a set of types holds
    the true one.
    """

    prior: Prior | None = None
    max_error: float | None = None
    set_level: float = SET_LEVEL


@dataclass(frozen=True, slots=True)
class PromiseRow:
    """The risk of answers of one kind: ``n_read`` were read so, of which ``accepted`` tells more."""

    name: str
    n_read: int
    accepted: Risk


@dataclass(frozen=True, slots=True)
class Promise:
    """What accepting from ``threshold`` on does, by the answers that came with the model.

    ``is_shown`` says whether what was asked could be shown. ``rows`` are all answers, those that name a
    cluster, and those of each type. ``share`` is that of accepted answers, in the user's mix.
    """

    threshold: float
    asked: Terms
    is_shown: bool
    share: float
    rows: tuple[PromiseRow, ...]

    def told(self) -> str:
        """The promise in one line."""
        total, clusters = self.rows[0].accepted, self.rows[1].accepted
        if self.asked.max_error is not None and not self.is_shown:
            begin = (
                f"no threshold shows an error below {self.asked.max_error:.2%}; the tightest that can be "
                f"shown is below {total.bound:.2%}: "
            )
        else:
            begin = ""
        return (
            f"{begin}accepted from a confidence of {self.threshold:.4f} on, as {self.share:.1%} of "
            f"{self.rows[0].n_read} calibration pictures; {_told(total)}; called a cluster: {_told(clusters)}"
        )

    def to_json(self) -> dict[str, object]:
        """The promise as JSON-able values; an error that is not defined is ``None``."""
        return {
            "accept_threshold": self.threshold,
            "prior": None if self.asked.prior is None else list(self.asked.prior),
            "max_error": self.asked.max_error,
            "is_shown": self.is_shown,
            "level": LEVEL,
            "accepted_share": self.share,
            "by_type": [
                {
                    "read_as": row.name,
                    "n": row.n_read,
                    "n_accepted": row.accepted.n,
                    "n_wrong": row.accepted.n_wrong,
                    "error": row.accepted.error if row.accepted.n else None,
                    "error_below": row.accepted.bound,
                }
                for row in self.rows
            ],
        }


def parse_prior(prior: PriorLike | None) -> Prior | None:
    """The shares of the four types, summing to 1: of a name, of four numbers, or of such numbers as text.

    Raises ``ConfigError`` for another name, another number of shares, or one too small to correct for.
    """
    if prior is None:
        return None
    if isinstance(prior, str):
        if prior in PRIORS:
            return PRIORS[prior]
        try:
            prior = [float(part) for part in prior.split(",")]
        except ValueError as error:
            raise _no_prior(repr(prior)) from error
    shares = np.array(list(prior), np.float64)
    if shares.shape != (4,) or not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise _no_prior(", ".join(map(str, prior)))
    shares /= shares.sum()
    if shares.min() < _LEAST_SHARE:
        raise _no_prior(f"a share of {shares.min():.4f}")
    return float(shares[0]), float(shares[1]), float(shares[2]), float(shares[3])


def make_terms(
    *, prior: PriorLike | None = None, max_error: float | None = None, set_level: float | None = None
) -> Terms:
    """The checked terms. Raises ``ConfigError``."""
    if max_error is not None and not 0 < max_error < 1:
        raise ConfigError(
            f"a largest error of {max_error}", expected="a share between 0 and 1", remedy="say 0.02 for 2 %"
        )
    level = SET_LEVEL if set_level is None else set_level
    return Terms(prior=parse_prior(prior), max_error=max_error, set_level=level)


def shift_of(calibration: Calibration, *, terms: Terms) -> Prior | None:
    """Frequency under ``terms`` over frequency in calibration, by type. Raises ``BundleError``."""
    if terms.prior is None:
        return None
    if not calibration.calibration_prior:
        raise _too_old("the mix of types that it was calibrated on")
    ratio = np.array(terms.prior) / np.array(calibration.calibration_prior)
    return float(ratio[0]), float(ratio[1]), float(ratio[2]), float(ratio[3])


def meet(calibration: Calibration, *, terms: Terms) -> Calibration:
    """``calibration`` under ``terms``: probabilities corrected, the threshold chosen anew.

    Raises ``BundleError`` when the model does not say what it was calibrated on.
    """
    _check_level(calibration, terms=terms)
    if terms.prior is None and terms.max_error is None:
        return calibration
    shift = shift_of(calibration, terms=terms)
    answers = _answers(calibration, shift=shift)
    if terms.max_error is not None:
        choice = keep_bound(answers, max_error=terms.max_error)
    else:
        choice = keep_error(answers, max_error=calibration.max_error)
    prior = calibration.prior
    if shift is not None:
        product = np.clip(np.array(prior or (1.0,) * 4) * shift, 1 / _MOST_RATIO, _MOST_RATIO)
        prior = float(product[0]), float(product[1]), float(product[2]), float(product[3])
    return calibration.model_copy(update={"accept_threshold": choice.threshold, "prior": prior})


def promise_of(calibration: Calibration, *, terms: Terms) -> Promise:
    """What the model promises under ``terms``; ``calibration`` is the one that came with it.

    Raises ``BundleError`` when the model came without the answers that this rests on.
    """
    answers = _answers(calibration, shift=shift_of(calibration, terms=terms))
    threshold = meet(calibration, terms=terms).accept_threshold
    accepted = answers.confidence >= threshold
    everything = np.ones(len(answers.correct), bool)
    groups = {
        "all": everything,
        "clusters": answers.called_cluster,
        **{kind.label: answers.predicted == kind for kind in ClusterType},
    }
    rows = tuple(
        PromiseRow(name, n_read=int(rows.sum()), accepted=risk_of(answers, rows=rows & accepted))
        for name, rows in groups.items()
    )
    return Promise(
        threshold=threshold,
        asked=terms,
        is_shown=terms.max_error is None or rows[0].accepted.bound < terms.max_error,
        share=float(answers.weights[accepted].sum() / answers.weights.sum()),
        rows=rows,
    )


def type_sets(
    probabilities: Sequence[Sequence[float]], *, calibration: Calibration, terms: Terms
) -> list[tuple[ClusterType, ...] | None]:
    """Every type that each picture may show, at the level of ``terms``; ``None`` for a model without sets.

    ``calibration`` is the one that came with the model. A mix of types is taken out of the probabilities
    again: thresholds by type hold whatever the mix, as long as the probabilities are those they were fitted
    on. The most probable type is always there.
    """
    sets = calibration.type_sets
    if sets is None or not probabilities:
        return [None] * len(probabilities)
    shift = np.array(shift_of(calibration, terms=terms) or (1.0,) * 4)
    shares = np.array(probabilities, np.float64) / shift
    shares /= shares.sum(axis=1, keepdims=True)
    held = 1 - shares <= np.array(sets.thresholds[sets.levels.index(terms.set_level)])
    held[np.arange(len(held)), np.argmax(probabilities, axis=1)] = True
    return [tuple(kind for kind in ClusterType if row[kind]) for row in held]


def _check_level(calibration: Calibration, *, terms: Terms) -> None:
    sets = calibration.type_sets
    levels = (SET_LEVEL,) if sets is None else sets.levels
    if terms.set_level not in levels:
        raise ConfigError(
            f"sets of types at a level of {terms.set_level}",
            expected=f"one of {', '.join(map(str, levels))}, which came with the model",
            remedy="ask for one of these",
        )


def promise_table(promise: Promise) -> str:
    """The promise as lines of text for a terminal."""
    lines = [
        promise.told(),
        "",
        f"{'read as':<20} {'read':>6} {'accepted':>9} {'wrong':>6} {'error':>8} {'below':>8}",
    ]
    for row in promise.rows:
        risk = row.accepted
        error = f"{risk.error:.2%}" if risk.n else "-"
        lines.append(
            f"{row.name:<20} {row.n_read:>6} {risk.n:>9} {risk.n_wrong:>6} {error:>8} {risk.bound:>8.2%}"
        )
    return "\n".join(lines)


def _answers(calibration: Calibration, *, shift: Prior | None) -> Answers:
    if not calibration.evidence:
        raise _too_old("the answers that it was calibrated on")
    rows = np.array(calibration.evidence, np.float64)
    return weigh_answers(
        rows[:, 1:],
        true_types=rows[:, 0].astype(np.int64),
        shift=None if shift is None else np.array(shift, np.float64),
    )


def _told(risk: Risk) -> str:
    if not risk.n:
        return "none accepted"
    return f"{risk.n_wrong} of {risk.n} wrong ({risk.error:.2%}; below {risk.bound:.2%} with 90 % certainty)"


def _no_prior(found: str) -> ConfigError:
    return ConfigError(
        f"a mix of types of {found}",
        expected=f"{', '.join(PRIORS)}, or four shares of at least {_LEAST_SHARE} for instance, touching, "
        "overlapping and touching_overlapping",
        remedy="count the types in a sample of your pictures, as in 0.7,0.2,0.07,0.03",
    )


def _too_old(missing: str) -> BundleError:
    return BundleError(
        f"a model that does not say {missing}",
        expected="a calibration made by this version, from pictures of all four types",
        remedy="calibrate it again with supcam pool and supcam recalibrate, or ask for no terms",
    )
