"""A checkpoint or a bundle -> a model for another program."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from supcam.core.types import ConfigError
from supcam.pack.comparison import Weights


class Form(StrEnum):
    """What ``supcam export`` writes."""

    BUNDLE = "bundle"
    BIOIMAGEIO = "bioimageio"
    SAFETENSORS = "safetensors"
    TORCH = "torch"


class Report(Protocol):
    """What came of it."""

    def told(self) -> str:
        """The whole report in one line."""
        ...


@dataclass(frozen=True, slots=True)
class PackingPlan:
    """What to pack: ``source`` is a checkpoint, or a bundle's folder that is to become another form.

    All that follows ``form`` is for a checkpoint alone; ``compare`` are names of crops to compare on.
    """

    source: Path
    output: Path
    form: Form = Form.BUNDLE
    card: Path | None = None
    calibration: Path | None = None
    compare: Sequence[str] = ()
    average_with: tuple[Path, ...] = ()
    weights: Weights = "float16"

    def for_checkpoint(self) -> list[str]:
        """The options that only a checkpoint takes, as far as they were given."""
        given = {
            "--card": self.card,
            "--calibration": self.calibration,
            "--compare": self.compare,
            "--average-with": self.average_with,
            "--weights": self.weights != "float16",
        }
        return [name for name, value in given.items() if value]


def pack(plan: PackingPlan) -> Report:
    """The report on what is now in the new folder ``plan.output``.

    A checkpoint becomes a bundle first, which is compared with torch as ever; the other forms are made of it
    and compared with ONNX Runtime. Raises what ``export``, ``write_zoo`` and ``write_portable`` raise, and
    ``ConfigError`` for a bundle that is to be a bundle, or with options that are a checkpoint's.
    """
    if plan.source.is_dir():
        _check_bundle(plan)
        return _from_bundle(plan.source, plan=plan, checkpoints=())
    if plan.form is Form.BUNDLE:
        return _export(plan, output=plan.output)
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "bundle"
        _export(plan, output=bundle)
        return _from_bundle(bundle, plan=plan, checkpoints=(plan.source, *plan.average_with))


def _from_bundle(bundle: Path, *, plan: PackingPlan, checkpoints: tuple[Path, ...]) -> Report:
    if plan.form is Form.BIOIMAGEIO:
        from supcam.pack.model_zoo import write_zoo  # noqa: PLC0415  it needs no torch

        return write_zoo(bundle, output=plan.output)
    from supcam.pack.portable import write_portable  # noqa: PLC0415  it needs torch

    return write_portable(
        bundle,
        output=plan.output,
        form="torch" if plan.form is Form.TORCH else "safetensors",
        checkpoints=checkpoints,
    )


def _check_bundle(plan: PackingPlan) -> None:
    if plan.form is Form.BUNDLE:
        raise ConfigError(
            "a model folder that is to become a model folder",
            expected="a checkpoint, or another --format",
            remedy="copy the folder, or change its words with supcam recalibrate",
            where=plan.source,
        )
    options = plan.for_checkpoint()
    if options:
        raise ConfigError(
            f"{options[0]} with a model folder",
            expected="a checkpoint",
            remedy="leave the option away: the folder says it already",
            where=plan.source,
        )


def _export(plan: PackingPlan, *, output: Path) -> Report:
    from supcam.pack.export import export, read_plan  # noqa: PLC0415  it needs torch
    from supcam.workflows.inputs import find_inputs  # noqa: PLC0415  with it

    export_plan = read_plan(
        card=plan.card,
        calibration=plan.calibration,
        pictures=find_inputs(plan.compare).names if plan.compare else (),
        weights=plan.weights,
    )
    return export(plan.source, output=output, plan=export_plan, average_with=plan.average_with)
