"""Commands that use a model."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated

import typer

from supcam import __version__
from supcam.cli import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say, watched


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
    prior: options.MixOption = None,
    max_error: options.MaxErrorOption = None,
    set_level: options.SetLevelOption = None,
    details: options.DetailsOption = False,
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
    errors on its validation pictures, else "review": let a person look. --max-error asks for proof, --prior
    for another mix of types; supcam promise shows what either does (docs/trust.md).

    A picture shows one cluster: cut out (white around it) or with neighbours, of which the central one
    counts. A file given twice is one row. A file that cannot be read, or shows nothing, is a row of the
    errors table and a line on stderr, and the exit code is 1; all others are classified.
    """
    with plain_errors():
        from supcam.pack.terms import make_terms
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
            terms=make_terms(prior=prior, max_error=max_error, set_level=set_level),
            details=details,
        )
        with watched() as listener:
            summary = run(plan, listener=listener)
        _end(summary.told(), promise=summary.promise, has_failed=bool(summary.failures))


def analyze(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Pictures, folders (with all below), or patterns in quotes."),
    ],
    *,
    output: Annotated[
        str, typer.Option("--output", "-o", help="Folder for the results; a run that was stopped goes on.")
    ],
    model: options.ModelOption = None,
    cases: options.CasesOption = "",
    crops: Annotated[bool, typer.Option("--crops", help="Also cut out every object.")] = False,
    expected_count: options.ExpectedOption = None,
    pseudonymise: options.PseudonymiseOption = False,
    prior: options.MixOption = None,
    max_error: options.MaxErrorOption = None,
    processes: options.ProcessesOption = None,
    engine: options.EngineOption = options.EngineChoice.PROCESSES,
    ray_address: options.RayAddressOption = "",
    polarity: options.PolarityOption = options.PolarityChoice.AUTO,
    page: options.PageOption = 0,
    max_megapixels: options.MegapixelsOption = 400.0,
) -> None:
    """Whole metaphases: every object found, typed and counted, and what a person must look at.

    \b
    supcam analyze slide.png --output out
    supcam analyze slides/ --output out --cases parent --crops

    The folder gets objects.csv, images.csv, cases.csv, labels/, overlays/, coco.json, analysis.json (all of
    it, for programs: supcam schema analysis) and report/index.html: open that first. Objects that are no
    chromosome are listed too, with the reason. A picture is accepted when all of its objects are; any doubt
    sends it to review.

    A file that cannot be read is a row of errors.csv and a line on stderr, and the exit code is 1; all others
    are analysed. Stopped and started again, the run goes on where it stood.

    With --engine ray the paths may be URLs (s3://, ...), a cluster may do the work, and the results are
    tables in Parquet: objects/, images/, areas/, cases.parquet and, if anything failed, errors.parquet;
    analysis/ holds what analysis.json says, in many parts.
    """
    with plain_errors():
        from supcam.pack.terms import make_terms
        from supcam.workflows.analyze import AnalyzePlan, AnalyzeSummary
        from supcam.workflows.analyze import analyze as run

        options.check_address(ray_address, engine=engine)
        plan = AnalyzePlan(
            named=tuple(paths),
            output=Path(output),
            model=model,
            image=options.image_config(polarity=polarity, page=page, max_megapixels=max_megapixels),
            cases=cases,
            crops=crops,
            expected=expected_count,
            pseudonymise=pseudonymise,
            processes=processes,
            terms=make_terms(prior=prior, max_error=max_error),
        )
        if engine is options.EngineChoice.RAY:
            from supcam.workflows.analyze_ray import RayPlan, RaySummary, analyze_on_ray

            far = RayPlan(plan, output=output, address=ray_address or "local")
            with watched() as listener:
                summary: AnalyzeSummary | RaySummary = analyze_on_ray(far, listener=listener)
        else:
            with watched() as listener:
                summary = run(plan, listener=listener)
        _end(summary.told(), promise=summary.promise, has_failed=bool(summary.failures))


def _end(told: str, *, promise: str, has_failed: bool) -> None:
    """Says what came of a run, and ends it with the code for failures where there were any."""
    say(told)
    if promise:
        say(promise)
    if has_failed:
        raise typer.Exit(SOME_FAILED)


def promise(
    model: Annotated[
        Path | None, typer.Argument(metavar="[MODEL]", help="Model folder [default: the one that came along]")
    ] = None,
    *,
    prior: options.MixOption = None,
    max_error: options.MaxErrorOption = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """What "accept" means: how many answers it passes, and how many of those are wrong.

    \b
    supcam promise
    supcam promise --max-error 0.02
    supcam promise my-model --prior 0.7,0.2,0.07,0.03

    Rests on the answers that came with the model, each of a network that had not seen the case. One row for
    all, for all that were called a cluster, and for each type that was read; "below" is what the error stays
    under with 90 % certainty. docs/trust.md tells what that does not mean.
    """
    with plain_errors():
        from json import dumps

        from supcam.pack.bundle import DEFAULT_MODEL
        from supcam.pack.folder import read_folder
        from supcam.pack.terms import make_terms, promise_of, promise_table

        terms = make_terms(prior=prior, max_error=max_error)
        found = promise_of(read_folder(model or DEFAULT_MODEL).calibration, terms=terms)
        typer.echo(dumps(found.to_json(), indent=2) if json else promise_table(found))


def explain(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="CROP", help="Crops, folders (with all below), or patterns in quotes."),
    ],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder; never overwritten.")],
    model: options.ModelOption = None,
    looks: Annotated[
        int, typer.Option(min=1, max=8, help="Shifted looks along each side of a cell; squared in all.")
    ] = 2,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help='Also Grad-CAM of this checkpoint. Needs: pip install "supcam[explain]".'),
    ] = None,
    layer: Annotated[str, typer.Option(help="Stage of the checkpoint's backbone.")] = "layer4",
    polarity: options.PolarityOption = options.PolarityChoice.AUTO,
    page: options.PageOption = 0,
    max_megapixels: options.MegapixelsOption = 200.0,
) -> None:
    """Where the network saw what it read: maps over crops, with the place that spoke loudest.

    \b
    supcam explain crops/ --output explained

    The folder gets picture sheets (the crop; the crop with what speaks for its type in orange, a ring at the
    peak), explanations.csv and explanations.json. Of a cluster the peak is where the network sees a contact;
    how often it lies on one is measured in docs/explanation.md.
    """
    with plain_errors():
        from supcam.workflows.explain import ExplainPlan, explain_crops

        plan = ExplainPlan(
            named=tuple(paths),
            output=output,
            model=model,
            image=options.image_config(polarity=polarity, page=page, max_megapixels=max_megapixels),
            looks=looks,
            checkpoint=checkpoint,
            layer=layer,
        )
        with watched() as listener:
            summary = explain_crops(plan, listener=listener)
        say(summary.told())
        if summary.failures:
            raise typer.Exit(SOME_FAILED)


def schema(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="analysis, predictions, card or calibration.")
    ] = "",
) -> None:
    """The JSON schema of a document that SupCAM writes; without a name, which there are.

    \b
    supcam schema
    supcam schema analysis > analysis.schema.json

    analysis is analysis.json of supcam analyze, predictions the JSON of supcam classify; card and calibration
    are files of a model folder. docs/formats.md tells what a version number promises.
    """
    with plain_errors():
        from json import dumps

        from supcam.spread.schema import ANALYSIS, PREDICTIONS, SCHEMAS, read_schema

        if name:
            typer.echo(dumps(read_schema(name), indent=2))
            return
        told = {"analysis": ANALYSIS, "predictions": PREDICTIONS}
        for each in SCHEMAS:
            typer.echo(f"{each:<12} {told.get(each, 'model folder')}")


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
