"""Pictures of what was measured: confusion, reliability, risk against coverage, confidences, mistakes.

Every function gives a matplotlib ``Figure`` that belongs to nobody else; nothing global is touched. Colours
are those of Okabe and Ito (2008), told apart with any colour vision; no meaning hangs on colour alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64, UInt8

from supcam.core.types import ClusterType, MissingExtraError
from supcam.measure.metrics import (
    Confusion,
    calibration_error,
    confusion,
    equal_mass_bins,
    macro,
    mean_of,
    recalls,
)
from supcam.measure.table import UNKNOWN, PredictionTable

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, PercentFormatter
except ImportError as error:
    raise MissingExtraError("matplotlib", extra="measure", error=error) from error

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#666666"
TYPE_WORDS = tuple(kind.label.replace("_", "-\n") for kind in ClusterType)
TILES_PER_SHEET = 24
NO_THRESHOLD = 1.01
"""In place of a threshold: nothing is accepted, and no line is drawn for it."""
_COLUMNS = 6
_DPI = 130

Confidence = Float64[np.ndarray, " batch"]
Correct = Bool[np.ndarray, " batch"]


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of a contact sheet, grey 0..255, with the lines written under it."""

    picture: UInt8[np.ndarray, "height width"]
    caption: str


def save_figures(
    table: PredictionTable, *, title: str, threshold: float = NO_THRESHOLD, output: Path
) -> Iterator[Path]:
    """The four pictures of a table's rows of known type, as PNG files in the folder ``output``."""
    typed = table.take(table.true_types != UNKNOWN)
    confidence, correct = typed.confidence, typed.correct
    matrix = confusion(typed.true_types, predicted=typed.predicted_types)
    pictures = {
        "confusion": confusion_figure(matrix, title=title),
        "reliability": reliability_figure(confidence, correct=correct, title=title),
        "risk_coverage": risk_coverage_figure(confidence, correct=correct, threshold=threshold, title=title),
        "confidence": confidence_figure(confidence, correct=correct, threshold=threshold, title=title),
    }
    for name, figure in pictures.items():
        yield save_figure(figure, path=output / f"{name}.png")


def save_figure(figure: Figure, *, path: Path) -> Path:
    """``path``, now holding the figure as PNG."""
    figure.savefig(path, dpi=_DPI, format="png")
    return path


def confusion_figure(matrix: Confusion, *, title: str) -> Figure:
    """The confusion table: counts, and each cell's share of its true type as shade and per cent."""
    figure = Figure(figsize=(5.6, 5.2), layout="constrained")
    axes = figure.add_subplot()
    totals = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, totals, out=np.zeros((4, 4)), where=totals > 0)
    shade = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for true, read in np.ndindex(4, 4):
        count, share = int(matrix[true, read]), float(shares[true, read])
        text = f"{count}\n{share:.1%}" if count else "0"
        weight = "bold" if true == read else "normal"
        colour = "white" if share > 0.55 else "black" if count else GREY
        axes.text(read, true, text, ha="center", va="center", color=colour, weight=weight)
    rows = [f"{word}\n(n = {int(n)})" for word, n in zip(TYPE_WORDS, totals[:, 0], strict=True)]
    axes.set_xticks(range(4), TYPE_WORDS)
    axes.set_yticks(range(4), rows)
    axes.set(xlabel="read as", ylabel="true type")
    axes.set_title(_titled(title, f"mean recall {macro(recalls(matrix), confusion=matrix):.3f}"), fontsize=11)
    figure.colorbar(shade, ax=axes, label="share of the true type", shrink=0.8, format=PercentFormatter(1))
    return figure


def reliability_figure(confidence: Confidence, *, correct: Correct, title: str, n_bins: int = 15) -> Figure:
    """Accuracy against confidence in bins of equal mass, with 95 % intervals (Wilson); diagonal = honest."""
    figure, axes = _square(
        title, f"expected calibration error {calibration_error(confidence, correct=correct):.3f}"
    )
    axes.plot([0.25, 1], [0.25, 1], color=GREY, linestyle="--", linewidth=1, label="honest")
    bins = equal_mass_bins(confidence, n_bins=n_bins)
    if bins:
        means = np.array([confidence[rows].mean() for rows in bins])
        shares = np.array([correct[rows].mean() for rows in bins])
        low, high = np.array([wilson_interval(int(correct[rows].sum()), of=len(rows)) for rows in bins]).T
        axes.vlines(means, low, high, color=BLUE, linewidth=1.2, alpha=0.6)
        axes.plot(
            means, shares, color=BLUE, marker="o", markersize=5, linewidth=1, label="bins of equal mass, 95 %"
        )
    axes.set(xlim=(0.22, 1.02), ylim=(-0.02, 1.02), xlabel="confidence", ylabel="share of right answers")
    axes.legend(loc="upper left", frameon=False)
    return figure


def risk_coverage_figure(
    confidence: Confidence, *, correct: Correct, threshold: float, title: str, max_error: float = 0.02
) -> Figure:
    """Error among the most confident answers, against the share of all answers that they are.

    A dot marks the answers that ``threshold`` accepts; the dashed line is the error allowed among them.
    """
    accepted = confidence >= threshold
    share, error = mean_of(accepted), 1 - mean_of(correct[accepted])
    note = f"accepted {share:.0%}, {error:.1%} of them wrong" if accepted.any() else "nothing is accepted"
    figure, axes = _square(title, note)
    coverage, risk = risk_coverage(confidence, correct=correct)
    axes.step(coverage, risk, where="post", color=BLUE, linewidth=1.6, label="answers by confidence")
    axes.axhline(max_error, color=GREY, linestyle="--", linewidth=1, label=f"{max_error:.0%} allowed")
    if accepted.any():
        axes.plot(share, error, "o", color=ORANGE, markersize=8, label=f"threshold {threshold:.3f}")
    top = max(0.05, 1.15 * float(risk.max(initial=0)))
    axes.set(xlim=(0, 1.02), ylim=(-0.02 * top, top), xlabel="share of answers, most confident first")
    axes.set_ylabel("share of them that is wrong")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    axes.legend(loc="upper left", frameon=False)
    return figure


def confidence_figure(confidence: Confidence, *, correct: Correct, threshold: float, title: str) -> Figure:
    """With which confidence right (above) and wrong answers (below) were given, each on its own scale."""
    figure = Figure(figsize=(5.6, 4.8), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set_title(_titled(title, f"{int((~correct).sum())} of {len(correct)} answers wrong"), fontsize=11)
    edges = np.linspace(0.25, 1, 31).tolist()
    for axes, rows, colour, word in ((upper, correct, BLUE, "right"), (lower, ~correct, ORANGE, "wrong")):
        counts, _, _ = axes.hist(confidence[rows], bins=edges, color=colour, edgecolor="white")
        axes.set_ylim(0, max(1.0, 1.35 * float(np.max(counts))))
        axes.set_ylabel(f"{word} answers")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        _tidy(axes)
        if threshold <= 1:
            passed = int((confidence[rows] >= threshold).sum())
            label = f"threshold {threshold:.3f}: {passed} accepted"
            axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label=label)
            axes.legend(loc="upper left", frameon=False)
    lower.set(xlim=(0.24, 1.01), xlabel="confidence")
    return figure


def contact_sheets(tiles: Sequence[Tile], *, title: str) -> Iterator[Figure]:
    """Sheets of up to ``TILES_PER_SHEET`` pictures in rows of six, each picture with its caption."""
    n_sheets = -(-len(tiles) // TILES_PER_SHEET)
    for number in range(n_sheets):
        part = tiles[number * TILES_PER_SHEET : (number + 1) * TILES_PER_SHEET]
        yield _sheet(part, title=f"{title} ({number + 1} of {n_sheets})" if n_sheets > 1 else title)


def _sheet(tiles: Sequence[Tile], *, title: str) -> Figure:
    n_rows = -(-len(tiles) // _COLUMNS)
    figure = Figure(figsize=(2.05 * _COLUMNS, 2.75 * n_rows + 0.5), layout="constrained")
    figure.suptitle(_plain(title), fontsize=11)
    for place, tile in enumerate(tiles):
        axes = figure.add_subplot(n_rows, _COLUMNS, place + 1)
        axes.imshow(tile.picture, cmap="gray", vmin=0, vmax=255, interpolation="lanczos")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_xlabel(_plain(tile.caption), fontsize=7.5)
    return figure


def risk_coverage(
    confidence: Confidence, *, correct: Correct
) -> tuple[Float64[np.ndarray, " points"], Float64[np.ndarray, " points"]]:
    """Shares of all answers, most confident first, and the error in each; ties enter together."""
    order = np.argsort(-confidence, kind="stable")
    sorted_confidence = confidence[order]
    ends = np.flatnonzero(
        np.append(sorted_confidence[1:] != sorted_confidence[:-1], np.ones(min(1, len(order)), bool))
    )
    n_accepted = ends + 1.0
    return n_accepted / max(1, len(order)), np.cumsum(~correct[order])[ends] / n_accepted


def wilson_interval(successes: int, *, of: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson (1927); 0..1 when ``of`` is 0."""
    if of == 0:
        return 0.0, 1.0
    z = 1.959964
    centre = (successes + z**2 / 2) / (of + z**2)
    reach = z * np.sqrt(successes * (of - successes) / of + z**2 / 4) / (of + z**2)
    return max(0.0, float(centre - reach)), min(1.0, float(centre + reach))


def _square(title: str, note: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(_titled(title, note), fontsize=11)
    _tidy(axes)
    return figure, axes


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _titled(title: str, note: str) -> str:
    return _plain(f"{title}\n{note}")


def _plain(text: str) -> str:
    """``text`` as matplotlib can show it: no mathematics, and a box for letters that its own font lacks."""
    known = "".join(letter if letter < "\u0530" or letter == "–" else "\u25a1" for letter in text)
    return known.replace("$", r"\$")
