"""``supcam monitor`` and ``supcam reference``: a laboratory's pictures against known ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from pathlib import Path

import numpy as np

from supcam.core.config import ImageConfig
from supcam.core.disk import write_whole
from supcam.core.types import BundleError, SupcamError
from supcam.data.files import Unreadable
from supcam.pack.bundle import DEFAULT_MODEL, Model, load_model
from supcam.pack.card import Card, compact_json
from supcam.pack.folder import parts_of, read_folder, read_reference, write_folder
from supcam.pack.reference import MEASURES, KnownPicture, Reference
from supcam.spread.analyze import analyze
from supcam.spread.drift import Difference, Drift, compare, with_distance
from supcam.spread.measures import Measured, measure_analysis, measure_record
from supcam.spread.outputs import RECORDS
from supcam.spread.report import document
from supcam.workflows.classify import Listener
from supcam.workflows.inputs import find_inputs
from supcam.workflows.naming import name_pictures
from supcam.workflows.new_folder import NewFolder
from supcam.workflows.whole_file import unwritable

TEXT, JSON, PAGE = "drift.txt", "drift.json", "drift.html"
_LEAST_PICTURES = 3
_WIDE, _HIGH = 520, 46


@dataclass(frozen=True, slots=True)
class MonitorPlan:
    """What to compare, with which reference, and where the answer goes: a new folder.

    ``named`` are pictures, or one folder that ``supcam analyze`` wrote. ``reference`` is a JSON of its own;
    ``None`` takes the bundle's.
    """

    named: tuple[str, ...]
    output: Path
    model: Path | None = None
    reference: Path | None = None
    image: ImageConfig = field(default_factory=ImageConfig)


@dataclass(frozen=True, slots=True)
class ReferencePlan:
    """Which known pictures, read by which bundle, and where the bundle with their reference goes.

    ``cases`` names the case of a picture, as for ``supcam analyze``. ``measured`` takes a reference that was
    measured before in place of pictures; ``table`` keeps the reference as a file of its own, too.
    """

    bundle: Path
    output: Path
    named: tuple[str, ...] = ()
    cases: str = ""
    sources: tuple[str, ...] = ()
    role: str = "unstated"
    measured: Path | None = None
    table: Path | None = None
    image: ImageConfig = field(default_factory=ImageConfig)


@dataclass(frozen=True, slots=True)
class MonitorSummary:
    """What differs, and what could not be read."""

    drift: Drift
    failures: tuple[Unreadable, ...]
    output: Path


def monitor(plan: MonitorPlan, *, listener: Listener | None = None) -> MonitorSummary:
    """What differs from the known pictures, as text, JSON and a page in a new folder.

    Raises ``SupcamError``: no reference, fewer than three pictures, an output that cannot be written.
    """
    listener = listener or Listener()
    reference = _reference(plan)
    failures: list[Unreadable] = []
    with NewFolder(plan.output) as folder:
        records = _record_files(plan.named)
        if records:
            measured = _from_records(records)
        else:
            model = load_model(plan.model, threads=1, image=plan.image)
            measured = _from_pictures(plan.named, cases="", model=model, failures=failures, listener=listener)
        _require_some(measured)
        drift = compare(measured, reference=reference)
        folder.write(TEXT, ("\n".join(drift.lines()) + "\n").encode())
        folder.write(JSON, _as_json(drift, measured=measured, reference=reference))
        folder.write(PAGE, _page(drift).encode())
        folder.keep()
    return MonitorSummary(drift, tuple(failures), plan.output)


def make_reference(plan: ReferencePlan, *, listener: Listener | None = None) -> Card:
    """The card of a bundle like ``plan.bundle`` that also knows its reference; network byte for byte.

    Raises ``BundleError`` for a bundle that cannot be used or an output that exists, ``SupcamError`` for
    fewer than three pictures.
    """
    files = read_folder(plan.bundle)
    if plan.measured is not None:
        reference = read_reference(plan.measured)
    else:
        model = load_model(plan.bundle, threads=1, image=plan.image)
        failures: list[Unreadable] = []
        measured = _from_pictures(
            plan.named, cases=plan.cases, model=model, failures=failures, listener=listener or Listener()
        )
        reference = reference_of(measured, plan=plan, model=model)
    if plan.table is not None:
        _write_table(plan.table, reference)
    return write_folder(plan.output, parts=replace(parts_of(files), reference=reference))


def reference_of(measured: Sequence[Measured], *, plan: ReferencePlan, model: Model) -> Reference:
    """The reference that known pictures make. Raises ``SupcamError`` for fewer than three."""
    _require_some(measured)
    seen = np.concatenate([one.embeddings for one in measured if one.embeddings is not None])
    numbers = {case: n for n, case in enumerate(dict.fromkeys(one.case for one in measured))}
    bare = Reference(
        sources=plan.sources,
        role=plan.role,
        embedding_mean=_rounded(seen.mean(0)),
        embedding_spread=_rounded(seen.std(0)),
        model_sha256=model.card.model_sha256,
        pictures=tuple(KnownPicture(case=numbers[one.case], values=one.values) for one in measured),
    )
    pictures = [
        KnownPicture(
            case=numbers[one.case],
            values={name: round(value, 5) for name, value in with_distance(one, reference=bare).items()},
        )
        for one in measured
    ]
    return bare.model_copy(update={"pictures": tuple(pictures)})


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)


def _write_table(path: Path, reference: Reference) -> None:
    try:
        write_whole(path, [compact_json(reference.model_dump(mode="json"))])
    except OSError as error:
        raise unwritable(path, error) from error


def _reference(plan: MonitorPlan) -> Reference:
    """The reference asked for, or the bundle's. Raises ``BundleError`` where there is none."""
    if plan.reference is not None:
        return read_reference(plan.reference)
    folder = plan.model or DEFAULT_MODEL
    reference = read_folder(folder).reference
    if reference is None:
        raise BundleError(
            "a model without a reference",
            expected="reference.json, with what known pictures are like",
            remedy="make one of known pictures (supcam reference), or name one with --reference",
            where=folder,
        )
    return reference


def _record_files(named: Sequence[str]) -> list[Path]:
    """The records of one folder that ``supcam analyze`` wrote; none for anything else."""
    if len(named) != 1 or not (Path(named[0]) / RECORDS).is_dir():
        return []
    return sorted((Path(named[0]) / RECORDS).glob("*.json"))


def _from_records(paths: Sequence[Path]) -> list[Measured]:
    measured = []
    for path in paths:
        try:
            record = json.loads(path.read_bytes())
            measured.append(measure_record(record, case=str(record["case"])))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SupcamError(
                f"no record of an analysed picture ({error!r})",
                expected="what supcam analyze writes",
                remedy="analyse the pictures again, or name the pictures themselves",
                where=path,
            ) from error
    return measured


def _from_pictures(
    named: Sequence[str],
    *,
    cases: str,
    model: Model,
    failures: list[Unreadable],
    listener: Listener,
) -> list[Measured]:
    inputs = find_inputs(named)
    names = name_pictures(inputs.names, cases=cases, pseudonymise=False)
    failures += inputs.unusable
    listener.started(len(inputs.names))
    measured = []
    for name in inputs.names:
        try:
            analysis = analyze(name, model=model)
            measured.append(measure_analysis(analysis, name=name, case=names.cases[name]))
        except SupcamError as error:
            failures.append(Unreadable(Path(name), error.reason))
            listener.failed(failures[-1])
        listener.advanced(1)
    return measured


def _require_some(measured: Sequence[Measured]) -> None:
    if len(measured) < _LEAST_PICTURES:
        raise SupcamError(
            f"{len(measured)} pictures that can be read",
            expected=f"{_LEAST_PICTURES} or more metaphases",
            remedy="give more: one picture says little about a laboratory",
        )


def _as_json(drift: Drift, *, measured: Sequence[Measured], reference: Reference) -> bytes:
    differences = [
        {**asdict(one), "words": MEASURES[one.measure], "verdict": one.verdict} for one in drift.differences
    ]
    values = {
        "differs": [one.measure for one in drift.told_ones],
        "told": drift.lines(),
        "differences": differences,
        "not_compared": list(drift.missing),
        "known": {"sources": list(reference.sources), "role": reference.role, "pictures": drift.n_known},
        "pictures": [one.name for one in measured],
    }
    return (json.dumps(values, indent=1) + "\n").encode()


def _page(drift: Drift) -> str:
    """Every measure as a strip: known pictures grey, new ones orange, medians as lines."""
    order = sorted(drift.differences, key=lambda one: -abs(one.effect))
    words = "".join(f"<li>{escape(line)}</li>" for line in drift.lines()[1:])
    strips = "".join(
        f"<tr><th>{escape(MEASURES[one.measure])}</th><td>{_strip(one)}</td>"
        f"<td>{escape(one.verdict)}</td><td>{one.effect:+.1f}</td>"
        f"<td>{one.known:.3g}</td><td>{one.new:.3g}</td></tr>"
        for one in order
    )
    body = (
        f"<h1>What differs</h1><p>{escape(drift.lines()[0])}</p><ul>{words}</ul>"
        "<p class=soft>Grey: known pictures. Orange: new ones. Lines: medians.</p>"
        "<table><thead><tr><th>measure</th><th>pictures</th><th></th><th>known deviations</th>"
        f"<th>known</th><th>new</th></tr></thead><tbody>{strips}</tbody></table>"
    )
    return document("What differs", body=body, script="page.js")


def _strip(one: Difference) -> str:
    every = [*one.known_values, *one.new_values]
    low, high = min(every), max(every)

    def place(value: float) -> float:
        return 10 + (_WIDE - 20) * ((value - low) / (high - low) if high > low else 0.5)

    def dots(values: Sequence[float], *, row: float, colour: str, middle: float) -> str:
        marks = "".join(
            f'<circle cx="{place(v):.1f}" cy="{row + 4 * (n % 3 - 1)}" r="3" fill="{colour}" '
            f'fill-opacity=".55"/>'
            for n, v in enumerate(values)
        )
        at = place(middle)
        return marks + (
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{row - 10}" y2="{row + 10}" stroke="{colour}" '
            'stroke-width="2"/>'
        )

    return (
        f'<svg width="{_WIDE}" height="{_HIGH}" role="img" aria-label="{escape(one.told())}">'
        + dots(one.known_values, row=13, colour="#666", middle=one.known)
        + dots(one.new_values, row=34, colour="#d55e00", middle=one.new)
        + "</svg>"
    )
