"""Commands that make pictures."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated

import typer

from supcam.cli import options
from supcam.workflows.terminal import plain_errors, say, watched


def compose(
    singles: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SINGLES]",
            help="Single chromosomes: a folder of pictures, a CSV, or metaphases with boxes (VOC, COCO).",
        ),
    ] = None,
    *,
    drawn: Annotated[bool, typer.Option("--drawn", help="Draw them instead: no pictures needed.")] = False,
    sheet: Annotated[Path | None, typer.Option(help="PNG to write: a contact sheet.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder: a data set; never overwritten.")
    ] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=10_000_000, help="Pictures to compose.")] = 48,
    seed: options.SeedOption = 0,
    types: Annotated[
        str, typer.Option(help="Types with their shares, such as touching=2,overlapping=1.")
    ] = "",
    config: Annotated[
        Path | None,
        typer.Option(help="TOML with [composition], [crop], [image], [foreground], [synthesis]."),
    ] = None,
    layout: options.LayoutOption = "auto",
    source: options.SourceOption = "",
    case_rule: options.CaseRuleOption = "",
    pictures: options.PicturesOption = None,
) -> None:
    """Clusters composed of single chromosomes, with type, count and masks known.

    \b
    supcam compose --drawn --sheet sheet.png
    supcam compose singles/ --n 5000 --output composed --types touching=1,overlapping=1

    Single chromosomes are the pictures of type instance in a table, all pictures of a plain folder, or the
    objects with one box in metaphases. The data set has numbered folders as ChrCluster (0 instance,
    1 touching, 2 overlapping, 3 touching_overlapping), labels.csv, compositions.csv, one mask a chromosome in
    masks/ and config.json.
    """
    with plain_errors():
        from supcam.data.manifest import ManifestOptions
        from supcam.workflows.compose import ComposePlan, read_compose_config
        from supcam.workflows.compose import compose as run

        plan = ComposePlan(
            singles=singles,
            drawn=drawn,
            n=n,
            seed=seed,
            sheet=sheet,
            output=output,
            config=read_compose_config(config, types=types),
            layout=layout,
            options=ManifestOptions(source=source, case_rule=case_rule, pictures_folder=pictures),
        )
        with watched() as listener:
            summary = run(plan, listener=listener)
        for note in summary.notes:
            say(note)
        say(summary.told())


def harvest(
    annotations: Annotated[
        Path, typer.Argument(metavar="ANNOTATIONS", help="Metaphases with one box a chromosome (VOC, COCO).")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder of crops; never overwritten.")],
    layout: options.LayoutOption = "auto",
    source: options.SourceOption = "",
    case_rule: options.CaseRuleOption = "",
    pictures: options.PicturesOption = None,
) -> None:
    """Single chromosomes, clusters of known number and debris, cut from annotated metaphases.

    \b
    supcam harvest slides/annotations --pictures slides/images --output harvested
    supcam compose harvested/labels.csv --sheet sheet.png

    The folder has crops on white in single/, cluster/ and debris/, labels.csv (case, type, number),
    objects.csv (where each was), left_out.csv with the reasons, and a sheet of each kind to look at.
    """
    with plain_errors():
        from supcam.data.manifest import ManifestOptions
        from supcam.workflows.harvest import HarvestPlan
        from supcam.workflows.harvest import harvest as run

        plan = HarvestPlan(
            annotations=annotations,
            output=output,
            layout=layout,
            options=ManifestOptions(source=source, case_rule=case_rule, pictures_folder=pictures),
        )
        with watched() as listener:
            say(run(plan, listener=listener).told())
