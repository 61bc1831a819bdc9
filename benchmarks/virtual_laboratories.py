"""How well are metaphases of 20 virtual laboratories counted and typed? A figure and an interval for each.

    python benchmarks/virtual_laboratories.py

Every laboratory draws a few metaphases as ``supcam synth`` does, and the bundled model analyses them as
``supcam analyze`` does, reading the picture alone. The results, a page with a table, and a plot are written.
Intervals are bootstrapped by metaphase: they tell how far a laboratory's figure would move with other slides,
not with other laboratories.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import supcam
from supcam.core.types import ImageError
from supcam.data.laboratory import N_LABORATORIES, Laboratory, virtual_laboratory
from supcam.data.slide import DrawnObject
from supcam.data.virtual_metaphase import VirtualMetaphase
from supcam.measure.figures import BLUE, ORANGE
from supcam.spread.result import Analysis
from supcam.workflows.synth import SynthPlan, draw

RESAMPLES = 2000
Result = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """What was read from one metaphase; an unread picture has nothing right and no chromosome.

    ``types_right`` and ``clusters_right`` are numbers of drawn objects, of which ``n_objects`` and
    ``n_clusters`` there are; ``n_false`` is that of kept objects without a chromosome.
    """

    laboratory: str
    number: int
    unread: str
    n_chromosomes: int
    n_read: int
    is_in_interval: bool
    n_objects: int
    types_right: int
    n_clusters: int
    clusters_right: int
    n_false: int

    @property
    def error(self) -> int:
        """Chromosomes read too many."""
        return self.n_read - self.n_chromosomes


def measured(number: int, *, seed: int, n_each: int) -> list[Picture]:
    """The pictures of laboratory ``number``, drawn and analysed."""
    laboratory = virtual_laboratory(number, seed=seed)
    plan = SynthPlan(seed=seed)
    # picture i of `supcam synth --laboratory all` is that of laboratory i modulo 20
    indices = [number + N_LABORATORIES * turn for turn in range(n_each)]
    return [one_picture(plan, laboratory=laboratory, index=index) for index in indices]


def one_picture(plan: SynthPlan, *, laboratory: Laboratory, index: int) -> Picture:
    """Picture ``index``, drawn and analysed."""
    metaphase = draw(plan, laboratory=laboratory, index=index)
    known = [one for one in metaphase.objects if one.type is not None]
    clusters = [one for one in known if one.n_chromosomes > 1]
    try:
        analysis, unread = supcam.analyze(metaphase.pixels), ""
    except ImageError as error:
        analysis, unread = None, error.found
    right = set() if analysis is None else typed_right(metaphase, analysis=analysis)
    count = None if analysis is None else analysis.count
    return Picture(
        laboratory=laboratory.name,
        number=index,
        unread=unread,
        n_chromosomes=metaphase.n_chromosomes,
        n_read=0 if count is None else count.n,
        is_in_interval=count is not None and count.low <= metaphase.n_chromosomes <= count.high,
        n_objects=len(known),
        types_right=sum(id(one) in right for one in known),
        n_clusters=len(clusters),
        clusters_right=sum(id(one) in right for one in clusters),
        n_false=0 if analysis is None else n_false(metaphase, analysis=analysis),
    )


def typed_right(metaphase: VirtualMetaphase, *, analysis: Analysis) -> set[int]:
    """Identities of the drawn objects of which one kept object has the most pixels, and the right type.

    That object must have more pixels of this one than of any other: of two merged objects one is wrong.
    """
    shared = shared_pixels(metaphase, analysis=analysis)
    right: set[int] = set()
    for k, one in owners(metaphase):
        best = int(shared[k].argmax())
        found = analysis.objects[best]
        is_its_own = shared[k, best] > 0 and int(shared[1:, best].argmax()) + 1 == k
        if is_its_own and one.type is not None and found.type == one.type.label:
            right.add(id(one))
    return right


def n_false(metaphase: VirtualMetaphase, *, analysis: Analysis) -> int:
    """Kept objects that hold no pixel of a chromosome."""
    shared = shared_pixels(metaphase, analysis=analysis)
    chromosomes = [k for k, _ in owners(metaphase)]
    return sum(
        item.is_kept and not shared[chromosomes, place].any() for place, item in enumerate(analysis.objects)
    )


def owners(metaphase: VirtualMetaphase) -> Iterator[tuple[int, DrawnObject]]:
    """The drawn objects that hold chromosomes, with their pixels' value in the labels."""
    return ((k, one) for k, one in enumerate(metaphase.objects, start=1) if one.type is not None)


def shared_pixels(metaphase: VirtualMetaphase, *, analysis: Analysis) -> np.ndarray:
    """Pixels that drawn object k (row; 0: the ground) shares with object i of the analysis (column)."""
    n_drawn, n_found = len(metaphase.objects) + 1, len(analysis.objects) + 1
    pairs = metaphase.labels.astype(np.int64) * n_found + analysis.labels
    counts = np.bincount(pairs.ravel(), minlength=n_drawn * n_found).reshape(n_drawn, n_found)
    return counts[:, 1:]


def figures(pictures: Sequence[Picture]) -> dict[str, float]:
    """What is said of some pictures."""
    errors = np.array([picture.error for picture in pictures])
    return {
        "count_error": float(np.abs(errors).mean()),
        "count_bias": float(errors.mean()),
        "interval_holds": float(np.mean([picture.is_in_interval for picture in pictures])),
        "type_accuracy": share(pictures, "types_right", "n_objects"),
        "cluster_type_accuracy": share(pictures, "clusters_right", "n_clusters"),
        "false_objects": float(np.mean([picture.n_false for picture in pictures])),
    }


def share(pictures: Sequence[Picture], part: str, whole: str) -> float:
    """The sum of one number over the pictures as a share of that of another."""
    parts, wholes = ([int(getattr(one, name)) for one in pictures] for name in (part, whole))
    return sum(parts) / max(1, sum(wholes))


def with_intervals(pictures: Sequence[Picture], *, rng: np.random.Generator) -> dict[str, list[float]]:
    """Every figure with its 95 % interval: value, low, high."""
    draws = [
        figures([pictures[i] for i in rng.integers(len(pictures), size=len(pictures))])
        for _ in range(RESAMPLES)
    ]
    found = {}
    for name, value in figures(pictures).items():
        low, high = np.quantile([each[name] for each in draws], [0.025, 0.975])
        found[name] = [round(float(number), 4) for number in (value, low, high)]
    return found


def summary(pictures: Sequence[Picture], *, seed: int) -> Result:
    """The figures of each laboratory and of all."""
    by_laboratory: dict[str, list[Picture]] = {}
    for picture in pictures:
        by_laboratory.setdefault(picture.laboratory, []).append(picture)
    laboratories = {}
    for name, some in by_laboratory.items():
        laboratory = virtual_laboratory(int(name), seed=seed)
        laboratories[name] = {
            "look": look(laboratory),
            "pictures": len(some),
            "unread": sum(bool(picture.unread) for picture in some),
            **with_intervals(some, rng=np.random.default_rng([seed, int(name)])),
        }
    return {"laboratories": laboratories, "all": with_intervals(pictures, rng=np.random.default_rng(seed))}


def look(laboratory: Laboratory) -> str:
    """A laboratory in a few words."""
    camera = laboratory.camera
    if camera.polarity.value == "fluorescence":
        ground = "fluorescence"
    else:
        ground = "white" if camera.background >= 1 else "grey"
        ground += ", uneven" if camera.unevenness > 0.05 else ""
    file = f", JPEG {camera.jpeg_quality}" if camera.jpeg_quality else ""
    return f"{laboratory.level} bands, width {laboratory.width_px:.0f} px, {ground}{file}"


def page(result: Result, *, about: str) -> str:
    """The figures as a page of Markdown."""
    head = ["laboratory", "how it looks", "refused", "error of the count", "true number in interval"]
    head += ["types right", "of clusters"]
    lines = [f"# Virtual laboratories\n\n{about}\n", row_of(head), "|" + "---|" * len(head)]
    for name, one in result["laboratories"].items():
        lines.append(row_of((name, one["look"], f"{one['unread']} of {one['pictures']}", *cells(one))))
    lines.append(row_of(("all", "", "", *cells(result["all"]))))
    return "\n".join(lines) + "\n"


def row_of(values: Sequence[object]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(map(str, values))} |"


def cells(figures: dict[str, Any]) -> list[str]:
    """The figures of a line of the table."""
    error, holds = "{:.2f} ({:.2f}-{:.2f})".format(*figures["count_error"]), figures["interval_holds"][0]
    types = ("{:.3f} ({:.3f}-{:.3f})".format(*figures[n]) for n in ("type_accuracy", "cluster_type_accuracy"))
    return [error, f"{holds:.2f}", *types]


def plot(result: Result, *, path: Path) -> None:
    """Both figures of every laboratory with their intervals, the mean of all as a line."""
    figure = Figure(figsize=(8.2, 5.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    show(above, result, name="count_error", look=Look(BLUE, "o"))
    above.set_ylabel("error of the count\n(chromosomes a metaphase)")
    above.set_ylim(bottom=0)
    show(below, result, name="type_accuracy", look=Look(BLUE, "o"))
    show(below, result, name="cluster_type_accuracy", look=Look(ORANGE, "s", shift=0.3))
    below.set_ylabel("share of types right")
    below.set_ylim(0, 1.02)
    below.legend(loc="lower left", frameon=False)
    below.set_xlabel("virtual laboratory (bold: fluorescence); dotted: mean of all; bars: 95 % by metaphase")
    names = list(result["laboratories"])
    below.set_xticks(range(len(names)), names)
    for tick, name in zip(below.get_xticklabels(), names, strict=True):
        if "fluorescence" in result["laboratories"][name]["look"]:
            tick.set_fontweight("bold")
    figure.savefig(path, dpi=100)


@dataclass(frozen=True)
class Look:
    """How one figure is shown."""

    colour: str
    marker: str
    shift: float = 0.0


def show(axes: Axes, result: Result, *, name: str, look: Look) -> None:
    """One figure of all laboratories, with bars, and the mean as a line."""
    rows = np.array([one[name] for one in result["laboratories"].values()])
    lengths = [rows[:, 0] - rows[:, 1], rows[:, 2] - rows[:, 0]]
    axes.errorbar(
        np.arange(len(rows)) + look.shift,
        rows[:, 0],
        yerr=np.maximum(lengths, 0),
        fmt=look.marker,
        color=look.colour,
        capsize=2,
        markersize=5,
        label={"type_accuracy": "all objects", "cluster_type_accuracy": "clusters alone"}.get(name),
    )
    axes.axhline(result["all"][name][0], color=look.colour, linewidth=0.8, linestyle=":")
    axes.spines[["top", "right"]].set_visible(False)


def about_of(result: Result) -> str:
    """What a reader of the page must know."""
    how = result["how"]
    n_each = how["metaphases_each"]
    return (
        f"Made by `{how['command']}`: {n_each} metaphases of each of {N_LABORATORIES} virtual laboratories, "
        f"the pictures of `supcam synth --n {N_LABORATORIES * n_each} --seed {how['seed']}`, read by "
        f"{how['model']} without knowing anything of them. The error of the count is the mean of "
        "|chromosomes read - chromosomes drawn|. A drawn object's type is right when one kept object holds "
        "most of its pixels, more of them than of any other object, and has its type. In brackets: 95 %, "
        "bootstrapped by metaphase.\n\n"
        "![Error of the count, and share of types right](images/virtual_laboratories.png)"
    )


def main() -> None:
    """Draws, analyses, and writes the figures, the page and the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/virtual_laboratories.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/virtual_laboratories.md"))
    parser.add_argument("--plot", type=Path, default=Path("docs/images/virtual_laboratories.png"))
    parser.add_argument("--metaphases", type=int, default=8, help="of each laboratory")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    work = partial(measured, seed=options.seed, n_each=options.metaphases)
    with ProcessPoolExecutor(options.processes) as pool:
        pictures = [one for some in pool.map(work, range(N_LABORATORIES)) for one in some]
    card = supcam.load_model(threads=1).card
    result: Result = {
        "how": {
            "command": shlex.join(["python", *sys.argv]),
            "seed": options.seed,
            "metaphases_each": options.metaphases,
            "model": f"{card.name} {card.version}",
        },
        **summary(pictures, seed=options.seed),
        "pictures": [asdict(one) for one in pictures],
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.page.write_text(page(result, about=about_of(result)), encoding="utf-8")
    plot(result, path=options.plot)


if __name__ == "__main__":
    main()
