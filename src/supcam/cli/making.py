"""Commands that make pictures."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated, Literal

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
    roles: Annotated[
        Path | None, typer.Option(help="Table of roles: only metaphases whose case plays --role are read.")
    ] = None,
    role: Annotated[str, typer.Option(help="Such as train; with --roles.")] = "train",
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
        from supcam.data.split import read_roles
        from supcam.workflows.harvest import HarvestPlan
        from supcam.workflows.harvest import harvest as run

        plan = HarvestPlan(
            annotations=annotations,
            output=output,
            layout=layout,
            options=ManifestOptions(source=source, case_rule=case_rule, pictures_folder=pictures),
            roles=read_roles(roles) if roles else None,
            role=role,
        )
        with watched() as listener:
            say(run(plan, listener=listener).told())


def synth(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="New folder: a data set; never overwritten.")
    ] = None,
    sheet: Annotated[Path | None, typer.Option(help="PNG to write: a sheet of drawn objects.")] = None,
    n: Annotated[int, typer.Option("--n", min=1, max=1_000_000, help="Metaphases to draw.")] = 20,
    seed: options.SeedOption = 0,
    laboratory: Annotated[
        str, typer.Option(help="Number of a virtual laboratory, or all: 20 of them take turns.")
    ] = "all",
    karyotype: Annotated[
        str, typer.Option(help="Such as 47,XY,+21 [default: 46,XX or 46,XY, each as often]")
    ] = "",
    contacts: Annotated[
        str,
        typer.Option(
            help="Shares of the chromosomes by what they lie in: instance, touching, overlapping, "
            "touching_overlapping, heap; such as instance=3,touching=1."
        ),
    ] = "",
    size: Annotated[
        tuple[int, int] | None, typer.Option(help="Width and height in pixels [default: the laboratory's]")
    ] = None,
    format: Annotated[  # noqa: A002 - the word that users know
        Literal["png", "tiff"], typer.Option(help="Pictures of 8 bits, or of 16.")
    ] = "png",
    config: Annotated[
        Path | None, typer.Option(help="TOML with [metaphase], and [laboratory] for one of one's own.")
    ] = None,
) -> None:
    """Drawn metaphases of known karyotype, with masks, types and counts of everything.

    \b
    supcam synth --output synthetic --n 40 --karyotype 47,XY,+21
    supcam synth --sheet sheet.png --laboratory 4 --contacts instance=2,touching=1,heap=1

    Chromosomes have the lengths, arms and bands of the human ideogram, and look as in the slides of a virtual
    laboratory. The data set has images/, labels/ (16-bit, pixel = object_id), annotations/ (Pascal VOC),
    coco.json (24 classes, one mask a chromosome), objects.json (types), images.csv, objects.csv,
    chromosomes.csv and config.json. Same seed, same pictures.
    """
    with plain_errors():
        from supcam.workflows.synth import SynthPlan, asked_of, read_synth_config
        from supcam.workflows.synth import synth as run

        asked = asked_of(karyotype=karyotype, contacts=contacts, size=size, picture_format=format)
        plan = SynthPlan(
            n=n,
            seed=seed,
            laboratory=laboratory,
            sheet=sheet,
            output=output,
            picture_format=format,
            config=read_synth_config(config, asked=asked),
        )
        with watched() as listener:
            summary = run(plan, listener=listener)
        say(summary.told())
