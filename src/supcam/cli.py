"""The terminal door: parses, calls, prints. Every command imports its errand when it is called."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from supcam import __version__
from supcam.workflows import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say, watched

_HELP = """The type and the number of chromosomes of every cluster in pictures of metaphase chromosomes.

Types: instance (one chromosome), touching, overlapping, touching_overlapping.

\b
Use the model       supcam classify crops/ --output predictions.csv
Score a model       supcam evaluate MODEL labels.csv --role report --output scores
Pool several folds  supcam pool scores/fold1 scores/fold2 --output scores/pooled
Compose clusters    supcam compose --drawn --sheet sheet.png
Train one           supcam train recipe.toml --output runs/first
Pack a trained one  supcam export runs/first/checkpoints/last.ckpt --output my-model

Exit codes: 0 all well, 1 some inputs failed, 2 arguments that cannot be used.

Not a medical device: for research only."""

app = typer.Typer(
    name="supcam",
    help=_HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main() -> None:
    """The command ``supcam``."""
    app()


@app.command()
def classify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Pictures, folders (with all below), or patterns in quotes."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV table to write.")],
    json: options.JsonOption = None,
    errors: options.ErrorsOption = None,
    model: options.ModelOption = None,
    batch_size: options.BatchSizeOption = 32,
    threads: options.ThreadsOption = None,
    polarity: options.PolarityOption = options.PolarityChoice.AUTO,
    page: options.PageOption = 0,
    max_megapixels: options.MegapixelsOption = 200.0,
) -> None:
    """Type and number of chromosomes, one row a picture.

    \b
    supcam classify crops/ --output predictions.csv
    supcam classify a.png b.tif "more/*.jpg" --output out/predictions.csv --json out/predictions.json

    Columns: path, type, confidence, p_instance, p_touching, p_overlapping, p_touching_overlapping,
    n_chromosomes, decision. The decision is "accept" where the model is sure enough to make at most 2 %
    errors on its validation pictures, else "review": let a person look.

    A picture shows one cluster: cut out (white around it) or with neighbours, of which the central one
    counts. A file given twice is one row. A file that cannot be read, or shows nothing, is a row of the
    errors table and a line on stderr, and the exit code is 1; all others are classified.
    """
    with plain_errors():
        from supcam.workflows.classify import ClassifyPlan
        from supcam.workflows.classify import classify as run

        plan = ClassifyPlan(
            named=tuple(paths),
            output=output,
            json=json,
            errors=errors,
            model=model,
            image=options.image_config(polarity=polarity, page=page, max_megapixels=max_megapixels),
            batch_size=batch_size,
            threads=threads,
        )
        with watched() as listener:
            summary = run(plan, listener=listener)
        say(summary.told())
        if summary.failures:
            raise typer.Exit(SOME_FAILED)


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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
    predictions.csv, figures, and a sheet of the mistakes. Metaphases with one box a chromosome are cut into
    objects: singles, clusters of known count, and debris, which gets a table of its own (debris.csv).
    """
    with plain_errors():
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
        listed = read_manifest(manifest, layout=layout, options=options)
        done = run(bundle, manifest=listed, output=output, plan=plan)
        say(f"{len(done.table)} pictures scored; report in {output}")


@app.command()
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


@app.command()
def version() -> None:
    """The versions of the program and its model."""
    with plain_errors():
        import platform
        from importlib.metadata import version as version_of

        from supcam.pack.bundle import DEFAULT_MODEL
        from supcam.pack.folder import read_card

        typer.echo(f"supcam {__version__}")
        typer.echo(f"python {platform.python_version()}, onnxruntime {version_of('onnxruntime')}")
        if not DEFAULT_MODEL.is_dir():
            typer.echo("no default model in this installation")
            return
        card = read_card(DEFAULT_MODEL)
        typer.echo(f"model {card.name} {card.version}, SHA-256 {card.model_sha256}")
