"""Commands that pass annotations to other programs and back."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated, Literal

import typer

from supcam.cli import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say, watched


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Output folder of supcam analyze, COCO (.json), an export of Label Studio (.json) or CVAT "
            "(.xml), or a FiftyOne dataset in COCO's layout (a folder).",
        ),
    ],
    *,
    to: Annotated[
        Literal["coco", "label-studio", "cvat", "fiftyone", "training"],
        typer.Option("--to", help="What to write; training: crops with tables that training reads."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder; nothing is overwritten.")],
    from_: Annotated[
        Literal["auto", "analysis", "coco", "label-studio", "cvat", "fiftyone"],
        typer.Option("--from", help="What SOURCE is."),
    ] = "auto",
    pictures: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the pictures; they are checked, and copied as 8-bit PNG. [default: with SOURCE, "
            "where pictures are needed]"
        ),
    ] = None,
    cases: options.CasesOption = "",
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Of an analysis: also what it took for no chromosome.")
    ] = False,
    image_prefix: Annotated[
        str | None,
        typer.Option(
            help="Label Studio: what stands before a picture's name. [default: /data/local-files/?d=images/]"
        ),
    ] = None,
    page: options.PageOption = 0,
    max_megapixels: options.MegapixelsOption = 400.0,
) -> None:
    """Annotations for Label Studio, CVAT, FiftyOne and COCO, and corrected ones back for training.

    \b
    supcam analyze slides/ --output results
    supcam convert results --to label-studio --pictures slides/ --output to-correct
    supcam convert export.json --to training --pictures to-correct --output checked

    Labels are instance, touching, overlapping, touching_overlapping and rejected (no chromosome);
    n_chromosomes is a number of each object. Masks survive every way unchanged (polygons are filled). The
    folder "checked" is a manifest for training and scoring; supcam finetune --from-decisions reads it too.

    What cannot be used is a row of left_out.csv with its reason, and the exit code is 1 (docs/exchange.md).
    """
    with plain_errors():
        from supcam.workflows.convert import LABEL_STUDIO_PREFIX, ConvertPlan
        from supcam.workflows.convert import convert as run

        plan = ConvertPlan(
            source=source,
            output=output,
            target=to,
            format=from_,
            pictures=pictures,
            cases=cases,
            rejected=rejected,
            prefix=LABEL_STUDIO_PREFIX if image_prefix is None else image_prefix,
            image=options.image_config(
                polarity=options.PolarityChoice.AUTO, page=page, max_megapixels=max_megapixels
            ),
        )
        with watched() as listener:
            summary = run(plan, listener=listener)
        say(summary.told())
        if summary.not_used:
            raise typer.Exit(SOME_FAILED)
