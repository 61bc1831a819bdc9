"""Commands that make models of trained networks, for SupCAM and for other programs."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated, Literal

import typer

from supcam.cli import options
from supcam.workflows.packing import Form
from supcam.workflows.terminal import plain_errors, say


def join(
    parts: Annotated[
        list[Path],
        typer.Argument(metavar="PART...", help="Checkpoints of supcam train or finetune, or model folders."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New checkpoint; never overwritten.")],
) -> None:
    """One network out of several, which gives the mean of what they say.

    Needs: pip install "supcam[train]".

    \b
    supcam join runs/one/checkpoints/last.ckpt runs/two/checkpoints/last.ckpt --output runs/both.ckpt
    supcam export runs/both.ckpt --output my-model --weights int8

    An ensemble is right more often than its members, above all when these were trained apart, and as many
    times slower. The networks must be of one kind and see the same input.
    """
    with plain_errors():
        from supcam.workflows.join import join as run

        say(str(run(parts, output=output)))


def average(
    checkpoints: Annotated[
        list[Path],
        typer.Argument(metavar="CHECKPOINT...", help="Of runs from one start, or a run and its start."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New checkpoint; never overwritten.")],
) -> None:
    """One network whose weights are the mean of several, as fast as any of them.

    Needs: pip install "supcam[train]".

    \b
    supcam average runs/ground/checkpoints/last.ckpt runs/tuned/checkpoints/last.ckpt --output runs/mean.ckpt

    Of a network and what fine-tuning made of it, the mean often does better on other pictures than either.
    One that is named three times counts three times as much. The runs must have begun with the same weights;
    networks that did not are for supcam join.
    """
    with plain_errors():
        from supcam.learn.ensemble import write_mean

        say(str(write_mean(checkpoints, path=output)))


def export(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT",
            help="Written by supcam train or finetune; or a model folder, with --format.",
        ),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder; never overwritten.")],
    form: Annotated[
        Form, typer.Option("--format", help="What to write: a model folder, or a model for other programs.")
    ] = Form.BUNDLE,
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
    weights: Annotated[
        Literal["float16", "float32", "int8"],
        typer.Option(
            help="float16: stored so, computed in float32; int8: stored and computed so, two to three times "
            "as fast, decisions differ here and there; needs --compare."
        ),
    ] = "float16",
) -> None:
    """A model folder that travels, from a checkpoint; or a model for other programs.

    Needs: pip install "supcam[train]"; for bioimageio of a model folder "supcam[zoo]" is enough.

    \b
    supcam export runs/base/checkpoints/last.ckpt --output my-model --compare crops/ --card card.toml
    supcam export my-model --format bioimageio --output my-model-zoo

    The folder holds model.onnx, card.json, calibration.json and probe.npz. It is written only when ONNX
    Runtime gives the outputs and decisions of torch, on the pictures given and on drawn ones, in several
    batch sizes.

    \b
    bioimageio   a package of the BioImage Model Zoo, tested by bioimageio.core
    safetensors  the model folder with weights and configuration as Hugging Face keeps them
    torch        a program of torch.export, model.pt2, for torch alone

    These are compared with ONNX Runtime before they are written. docs/exporting.md tells how to use them.
    """
    with plain_errors():
        from supcam.workflows.packing import PackingPlan, pack

        plan = PackingPlan(
            source=source,
            output=output,
            form=form,
            card=card,
            calibration=calibration,
            compare=tuple(compare or ()),
            average_with=tuple(average_with or ()),
            weights=weights,
        )
        say(pack(plan).told())


def quantize(
    bundle: Annotated[Path, typer.Argument(metavar="MODEL", help="Model folder.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New model folder; never overwritten.")],
    compare: Annotated[
        list[str],
        typer.Option(help="Crops (file, folder, pattern) that set the scales; repeatable."),
    ],
    version: Annotated[str, typer.Option(help="Of the new model [default: the old one's]")] = "",
) -> None:
    """The same model in 8-bit integers, two to three times as fast.

    Needs: pip install "supcam[train]".

    \b
    supcam quantize my-model --compare crops/ --output my-model-int8

    Give crops of all that it will meet: single chromosomes, clusters, and what is none. A hundred at least;
    four hundred of them set the scales, all of them are read with both models. More than five decisions in a
    hundred that differ are refused. Calibration and card stay.
    """
    with plain_errors():
        from supcam.pack.in_integers import in_integers
        from supcam.workflows.inputs import find_inputs

        pictures = [Path(name) for name in find_inputs(compare).names]
        done = in_integers(bundle, output=output, pictures=pictures, version=version)
        seen = done.card.comparison
        assert seen is not None
        left_out = f"; {len(done.unread)} pictures without an object left out" if done.unread else ""
        say(f"{output}: {seen.changed_decisions} of {seen.n_pictures} decisions differ{left_out}")
