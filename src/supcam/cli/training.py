"""Commands that make a model."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

import sys
from pathlib import Path
from typing import Annotated

import typer

from supcam.cli import options
from supcam.workflows.terminal import plain_errors, say


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The recipe.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Run folder; an interrupted run goes on.")],
) -> None:
    """Weights from pictures of single chromosomes.

    Needs: pip install "supcam[train]".

    \b
    supcam train experiments/base.toml --output runs/base

    Killed and started again with the same recipe and data, the run goes on where it stood. The run folder
    gets checkpoints, the full configuration, metrics.csv and TensorBoard logs.
    """
    with plain_errors():
        from supcam.workflows.train import train as run

        result = run(config, output=output, progress=sys.stderr.isatty())
        say(f"{result.steps} steps; checkpoint {result.checkpoint}")


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="Written by supcam train.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New model folder; never overwritten.")],
    card: Annotated[
        Path | None, typer.Option(help="TOML with name, version, description, data, figures.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="JSON with temperature, accept_threshold, prior, fitted_on ...")
    ] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Crops (file, folder, pattern) on which it must agree with torch; repeatable."),
    ] = None,
    average_with: options.AverageOption = None,
    full_weights: Annotated[
        bool, typer.Option("--full-weights", help="Store float32, twice as large as float16.")
    ] = False,
) -> None:
    """A model folder that travels, from a checkpoint.

    Needs: pip install "supcam[train]".

    \b
    supcam export runs/base/checkpoints/last.ckpt --output my-model --compare crops/ --card card.toml

    The folder holds model.onnx, card.json, calibration.json and probe.npz. It is written only when ONNX
    Runtime gives the outputs and decisions of torch, on the pictures given and on drawn ones, in several
    batch sizes.
    """
    with plain_errors():
        from supcam.pack.export import export as run
        from supcam.pack.export import read_plan
        from supcam.workflows.inputs import find_inputs

        plan = read_plan(
            card=card,
            calibration=calibration,
            pictures=find_inputs(compare).names if compare else (),
            half_weights=not full_weights,
        )
        report = run(checkpoint, output=output, plan=plan, average_with=average_with or ())
        say(report.told())
