"""Commands that say how good a model is."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from supcam.cli import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say, watched


def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Model folder.")],
    manifest: Annotated[
        Path,
        typer.Argument(metavar="MANIFEST", help="CSV with labels, labelled folders, or boxes (VOC, COCO)."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the report.")] = Path(
        "evaluation"
    ),
    role: Annotated[
        str, typer.Option(help="Role of this data, for the report: select, report, fold1 ...")
    ] = "unstated",
    roles: Annotated[
        Path | None, typer.Option(help="Table of roles: only cases that play --role are scored.")
    ] = None,
    layout: options.LayoutOption = "auto",
    source: options.SourceOption = "",
    case_rule: options.CaseRuleOption = "",
    label_map: options.LabelMapOption = "",
    pictures: options.PicturesOption = None,
    data: Annotated[str, typer.Option(help="Name of the data [default: its sources]")] = "",
    seed: options.SeedOption = 0,
    commit: options.CommitOption = "",
) -> None:
    """How well a model does on labelled pictures.

    Needs: pip install "supcam[measure]".

    \b
    supcam evaluate my-model crops/labels.csv --role report --output scores
    supcam evaluate my-model slides/annotations --pictures slides/images --source slides

    Accuracy, per-class and mean scores, counts, calibration, intervals by case: report.json, report.md,
    predictions.csv, mistakes.csv (named, the surest first), figures, and sheets of the mistakes. Metaphases
    with one box a chromosome are cut into objects: singles, clusters of known count, and debris, which gets a
    table of its own (debris.csv).
    """
    with plain_errors():
        from supcam.data.layout import parse_label_map
        from supcam.data.manifest import ManifestOptions, read_manifest
        from supcam.data.split import read_roles
        from supcam.pack.evaluate import EvaluationPlan
        from supcam.pack.evaluate import evaluate as run

        plan = EvaluationPlan(
            role=role,
            roles=read_roles(roles) if roles else None,
            data=data,
            seed=seed,
            command=shlex.join(["supcam", *sys.argv[1:]]),
            commit=commit,
        )
        options = ManifestOptions(source=source, case_rule=case_rule, pictures_folder=pictures)
        if label_map:
            options = replace(options, label_map=parse_label_map(label_map))
        listed = read_manifest(manifest, layout=layout, options=options)
        done = run(bundle, manifest=listed, output=output, plan=plan)
        say(f"{len(done.table)} pictures scored; report in {output}")


def recalibrate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Model folder.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New model folder; never overwritten.")],
    calibration: Annotated[
        Path | None, typer.Option(help="JSON of supcam pool [default: the model's own]")
    ] = None,
    metaphases: Annotated[
        Path | None, typer.Option(help="Folder that supcam evaluate wrote about metaphases with boxes.")
    ] = None,
    keep: Annotated[float, typer.Option(min=0.5, max=1, help="Share of all chromosomes to keep.")] = 0.999,
    familiar: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of supcam evaluate whose pictures the model is to know; repeatable."),
    ] = None,
    familiar_limit: Annotated[
        list[Path] | None,
        typer.Option(help="The same, of cases left out above: 99 % of them are to look familiar."),
    ] = None,
    card: Annotated[Path | None, typer.Option(help="TOML with new words for the card.")] = None,
) -> None:
    """The same model with another calibration.

    \b
    supcam evaluate my-model slides/annotations --pictures slides/images --role select --output scores
    supcam recalibrate my-model --metaphases scores --output my-model-2

    From metaphases comes the chromosome probability below which an object of a whole picture is rejected: the
    highest that keeps the asked share of all chromosomes. From --familiar comes how known pictures look, so
    that others go to review (docs/trust.md). The network is copied byte for byte.
    """
    with plain_errors():
        from supcam.pack.recalibrate import RecalibrationPlan
        from supcam.pack.recalibrate import recalibrate as run

        plan = RecalibrationPlan(
            calibration=calibration,
            metaphases=metaphases,
            keep=keep,
            familiar=tuple(familiar or ()),
            familiar_limit=tuple(familiar_limit or ()),
            card=card,
        )
        done = run(bundle, output=output, plan=plan)
        told = "no threshold of rejection"
        if done.chromosome_threshold is not None and done.chromosomes_kept is not None:
            told = (
                f"objects are rejected below {done.chromosome_threshold:.4f}, which keeps "
                f"{done.chromosomes_kept:.2%} of the chromosomes and rejects "
                f"{done.others_rejected or 0:.2%} of what holds none"
            )
        say(f"{told}; model in {output}")


def fit_context(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Model folder.")],
    annotations: Annotated[
        Path, typer.Argument(metavar="ANNOTATIONS", help="Metaphases with one box a chromosome: VOC, COCO.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New model folder; never overwritten.")],
    role: Annotated[str, typer.Option(help="Role of the metaphases to learn from.")] = "train",
    check: Annotated[str, typer.Option(help="Role of others, read before and after [default: none]")] = "",
    roles: Annotated[Path | None, typer.Option(help="Table of roles [default: learn from all]")] = None,
    layout: options.LayoutOption = "auto",
    source: options.SourceOption = "",
    case_rule: options.CaseRuleOption = "",
    pictures: options.PicturesOption = None,
    drawn: Annotated[
        Path | None,
        typer.Option(help="Folder by supcam synth, learnt from as other laboratories' metaphases."),
    ] = None,
) -> None:
    """The same model, reading the objects of a metaphase in their picture.

    Needs: pip install "supcam[measure]".

    \b
    supcam fit-context my-model slides/annotations --pictures slides/images --source slides \\
        --roles roles.csv --role train --check select --output my-model-2

    The network sees each object alone. Here its answers, the object's outline and its area beside those of
    the picture's single chromosomes are taken together: whether it is a chromosome, whether it is one, and
    how many. supcam analyze reads so from then on, supcam classify does not. With --check, metaphases that
    were not learnt from are counted both ways. The network is copied byte for byte.

    What was fitted on one laboratory is too sure of itself in another. With --drawn it is fitted on the
    metaphases of virtual laboratories as well.
    """
    with plain_errors():
        from supcam.data.manifest import Manifest, ManifestOptions, read_manifest
        from supcam.data.split import read_roles
        from supcam.workflows.fit_context import ContextPlan, drawn_metaphases
        from supcam.workflows.fit_context import fit_context as run

        listing = ManifestOptions(source=source, case_rule=case_rule, pictures_folder=pictures)
        plan = ContextPlan(
            role=role,
            roles=read_roles(roles) if roles else None,
            check=check,
            drawn=Manifest() if drawn is None else drawn_metaphases(drawn),
        )
        with watched() as listener:
            done = run(
                bundle,
                manifest=read_manifest(annotations, layout=layout, options=listing),
                output=output,
                plan=plan,
                listener=listener,
            )
        for line in done.told():
            say(line)
        say(f"model in {output}")


def pool(
    evaluations: Annotated[
        list[Path], typer.Argument(metavar="EVALUATION", help="Folders that supcam evaluate wrote.")
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pooled report.")],
    calibrate: Annotated[
        Path | None, typer.Option(help="JSON for the calibration, as supcam export takes it.")
    ] = None,
    max_error: Annotated[
        float, typer.Option(min=0, max=1, help="Share of errors allowed among the accepted.")
    ] = 0.02,
    prior: options.PriorOption = None,
    seed: options.SeedOption = 0,
    commit: options.CommitOption = "",
) -> None:
    """One report out of several folds, and the calibration to ship.

    Needs: pip install "supcam[measure]".

    \b
    supcam pool scores/fold1 scores/fold2 scores/select --output scores/pooled --calibrate c.json

    Each evaluation is of a model that had not seen its cases; no case may be in two. With --calibrate, the
    figures are cross-fitted: every case is read with a temperature and a threshold found on other cases.
    """
    with plain_errors():
        from supcam.workflows.pool import PoolPlan, pool_evaluations

        plan = PoolPlan(
            evaluations=tuple(evaluations),
            output=output,
            calibration=calibrate,
            max_error=max_error,
            prior=prior,
            seed=seed,
            command=shlex.join(["supcam", *sys.argv[1:]]),
            commit=commit,
        )
        done = pool_evaluations(plan)
        say(f"{done.told()}; report in {output}")


def monitor(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Metaphases (files, folders), or a folder of supcam analyze."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder; never overwritten.")],
    model: options.ModelOption = None,
    reference: Annotated[
        Path | None, typer.Option(help="JSON of supcam reference [default: the model's own]")
    ] = None,
    polarity: options.PolarityOption = options.PolarityChoice.AUTO,
    page: options.PageOption = 0,
    max_megapixels: options.MegapixelsOption = 400.0,
) -> None:
    """What differs between a laboratory's pictures and those that the model is known on.

    \b
    supcam monitor slides/ --output drift

    Width of the chromosomes, stain, sharpness, polarity, background, types, confidence and embeddings are
    compared with the model's reference; what differs by more than chance and by one known deviation is told
    in words (drift.txt, drift.json, drift.html). An analysed folder has neither background nor embeddings.
    """
    with plain_errors():
        from supcam.workflows.monitor import MonitorPlan
        from supcam.workflows.monitor import monitor as run

        plan = MonitorPlan(
            named=tuple(paths),
            output=output,
            model=model,
            reference=reference,
            image=options.image_config(polarity=polarity, page=page, max_megapixels=max_megapixels),
        )
        with watched() as listener:
            done = run(plan, listener=listener)
        for line in done.drift.lines():
            typer.echo(line)
        say(f"page in {output / 'drift.html'}")
        if done.failures:
            raise typer.Exit(SOME_FAILED)


def reference(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Model folder.")],
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Metaphases of known laboratories.")
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New model folder; never overwritten.")],
    cases: options.CasesOption = "",
    source: Annotated[
        list[str] | None, typer.Option(help="Where the pictures come from; repeatable.")
    ] = None,
    role: Annotated[str, typer.Option(help="Role that their cases play.")] = "unstated",
    measured: Annotated[
        Path | None, typer.Option(help="JSON of an earlier --table, in place of pictures.")
    ] = None,
    table: Annotated[Path | None, typer.Option(help="Keep the reference as a JSON of its own, too.")] = None,
) -> None:
    """The same model with a reference, which supcam monitor compares pictures with.

    \b
    supcam reference my-model slides/ --cases parent --role train --output my-model-2

    Kept are a few numbers for each picture, numbered by case, and the mean of the embeddings: no picture and
    no name. The network is copied byte for byte.
    """
    with plain_errors():
        from supcam.workflows.monitor import ReferencePlan, make_reference

        plan = ReferencePlan(
            bundle=bundle,
            output=output,
            named=tuple(paths or ()),
            cases=cases,
            sources=tuple(source or ()),
            role=role,
            measured=measured,
            table=table,
        )
        with watched() as listener:
            make_reference(plan, listener=listener)
        say(f"model with its reference in {output}")
