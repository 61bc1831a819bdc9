"""Commands that make a model."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from supcam.cli import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say, watched


def train(config: options.RecipeArgument, *, output: options.RunOption) -> None:
    """Weights from pictures of single chromosomes: both steps of SupCAM, or the classifier alone.

    Needs: pip install "supcam[train]".

    \b
    supcam train experiments/smoke_supcam.toml --output runs/supcam

    A recipe with a table [pretrain] has two steps. Step 1 teaches the backbone, by contrast, to put pictures
    of one type close together and those of other types apart (runs/supcam/pretrain). Step 2 drops the head
    that it was taught through, and trains the heads for type, number and chromosome or not
    (runs/supcam/finetune). A recipe without that table has step 2 alone, in the run folder itself.

    Killed and started again with the same recipe and data, it goes on where it stood, in either step. A run
    folder gets checkpoints/last.ckpt, the full configuration, metrics.csv (training), history.csv
    (validation) and TensorBoard logs. The checkpoint of step 2 is what supcam export takes.
    """
    with plain_errors():
        from supcam.workflows.train import train as run

        result = run(config, output=output, progress=sys.stderr.isatty())
        say(f"{result.steps} steps; checkpoint {result.checkpoint}")


def pretrain(config: options.RecipeArgument, *, output: options.RunOption) -> None:
    """Step 1 alone: a backbone that tells types apart, from the recipe's table [pretrain].

    Needs: pip install "supcam[train]".

    \b
    supcam pretrain experiments/smoke_supcam.toml --output runs/step1
    supcam finetune experiments/smoke_supcam.toml --output runs/probe --from runs/step1/checkpoints/last.ckpt

    For trying several second steps on one backbone. metrics.csv shows the loss, the terms of own keys and of
    positives, the mean number of positives in the queue, gradients and momentum; history.csv how well types
    are read by the nearest mean of each type, without any classifier. Killed and started again, it goes on.
    """
    with plain_errors():
        from supcam.workflows.train import pretrain as run

        result = run(config, output=output, progress=sys.stderr.isatty())
        say(f"{result.steps} steps; checkpoint {result.checkpoint}")


def finetune(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="[CONFIG.toml]",
            help="The recipe: network, data, and how weights are found; not needed with --from-decisions.",
        ),
    ] = None,
    *,
    output: options.RunOption,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="CHECKPOINT|MODEL",
            help="Where the weights start: of step 1 (its backbone), or of a classifier (all of it); with "
            "--from-decisions also a model folder. [default: train.init_from of the recipe, else drawn by "
            "chance; with --from-decisions the model that came along]",
        ),
    ] = None,
    from_decisions: Annotated[
        Path | None,
        typer.Option(
            metavar="EXPORT",
            help="Learn from people's decisions: decisions.zip of the service, its folder, or the "
            "data folder of a service.",
        ),
    ] = None,
    hold_out: Annotated[
        float, typer.Option(help="With --from-decisions: share of the cases held out.")
    ] = 0.3,
    seed: Annotated[
        int, typer.Option(min=0, help="With --from-decisions: which cases are held out; the training, too.")
    ] = 0,
    model_version: Annotated[
        str,
        typer.Option(help="With --from-decisions: of the new model. [default: the old one's and a hash]"),
    ] = "",
    show_in: Annotated[
        Path | None,
        typer.Option(
            metavar="DATA",
            help="With --from-decisions: data folder of the service that shows the comparison.",
        ),
    ] = None,
) -> None:
    """Step 2 alone: the classifier, from the recipe's table [train]; or an old model, by people's decisions.

    Needs: pip install "supcam[train]".

    \b
    supcam finetune experiments/smoke_supcam.toml --output runs/step2 --from runs/step1/checkpoints/last.ckpt
    supcam finetune --from-decisions decisions.zip --output runs/taught --show-in supcam-data

    stage = "probe" in [train] trains the heads on a backbone that stands still, which is checked; stage =
    "full" trains everything, with smaller rates towards the first layers where layer_decay is below 1. Killed
    and started again, it goes on.

    With --from-decisions cases are split: from some it learns (their objects, and clusters composed from
    their sure single chromosomes), on the others the models before and after are compared. The new model is
    OUTPUT/model, the comparison OUTPUT/comparison.html, .md and .json. The old model stays as it is.
    """
    with plain_errors():
        if from_decisions is None:
            _finetune(config, output=output, start=start)
            return
        from supcam.workflows.learn_decisions import DecisionsPlan, learn_from_decisions

        plan = DecisionsPlan(
            decisions=from_decisions,
            output=output,
            start=start,
            recipe=config,
            share=hold_out,
            seed=seed,
            version=model_version,
            show_in=show_in,
            progress=sys.stderr.isatty(),
        )
        learnt = learn_from_decisions(plan, tell=say)
        say(learnt.comparison.words)
        say(f"new model {learnt.model}; comparison {learnt.files[0].with_suffix('.html')}")


def _finetune(config: Path | None, *, output: Path, start: Path | None) -> None:
    from supcam.core.types import ConfigError
    from supcam.workflows.train import finetune as run

    if config is None:
        raise ConfigError(
            "neither a recipe nor --from-decisions", expected="one of them", remedy="say what to learn from"
        )
    result = run(config, output=output, start=start, progress=sys.stderr.isatty())
    say(f"{result.steps} steps; checkpoint {result.checkpoint}")


def adapt(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH", help="Unlabelled metaphases: files, folders (with all below)."),
    ],
    *,
    weights: Annotated[
        Path, typer.Option(metavar="CHECKPOINT", help="Of supcam train or finetune, or its run folder.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder; never overwritten.")],
    crops: Annotated[bool, typer.Option("--crops", help="The pictures are crops, one object each.")] = False,
    cases: options.CasesOption = "",
    labels: Annotated[
        Path | None, typer.Option(help="Manifest of labelled crops, which decides whether it helped.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Confidence, held_out, pictures, learning_rate ...")
    ] = None,
) -> None:
    """A network adapted to unlabelled pictures of another laboratory, and whether that helped.

    Needs: pip install "supcam[train]".

    \b
    supcam adapt slides/ --weights runs/first/checkpoints/last.ckpt --cases parent --output adapted

    Objects that the network is sure are single chromosomes are composed to clusters, and step 2 goes on for a
    short while. Some cases are held out; on them, or on --labels, old and new network are compared. The
    answer is in adaptation.txt and adaptation.json. When it did not help, that is said: keep the old model.
    """
    with plain_errors():
        from supcam.workflows.adapt import AdaptPlan
        from supcam.workflows.adapt import adapt as run

        plan = AdaptPlan(
            named=tuple(paths),
            weights=weights,
            output=output,
            crops=crops,
            cases=cases,
            labels=labels,
            config=config,
        )
        with watched() as listener:
            done = run(plan, listener=listener)
        for line in done.lines():
            typer.echo(line)
        if done.failures:
            raise typer.Exit(SOME_FAILED)


def chrcluster(
    *,
    data: Annotated[Path, typer.Option(help="Its folder: one folder a class, named by a number.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where all goes; a stopped reproduction goes on.")
    ] = Path("runs/chrcluster"),
    recipe: Annotated[
        Path | None,
        typer.Option(metavar="CONFIG.toml", help="Training recipe [default: chrcluster_resnet50.toml]"),
    ] = None,
    seeds: Annotated[
        str, typer.Option(metavar="1,2,...", help="A training for each seed and split.")
    ] = "1,2,3",
    split: Annotated[
        Literal["lin", "case", "both"],
        typer.Option(help="The published split by picture, one by case where names tell cases, or both."),
    ] = "both",
    label_map: options.LabelMapOption = "",
    case_rule: Annotated[
        str,
        typer.Option(
            help="What names a picture's case: parent, stem, or a regular expression with one group. "
            "[default: looked for in the names]"
        ),
    ] = "",
    role: Annotated[
        Literal["select", "report"], typer.Option(help="What is scored; recipes are chosen on select.")
    ] = "report",
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop where the folder differs from what was published.")
    ] = False,
    check_only: Annotated[
        bool, typer.Option("--check-only", help="Look at the folder, train nothing.")
    ] = False,
    commit: options.CommitOption = "",
) -> None:
    """ChrCluster, from its folder to a table beside the published figures.

    Needs: pip install "supcam[train]", and for the full-size recipe a GPU.

    \b
    supcam reproduce chrcluster --data ChrCluster --check-only
    supcam reproduce chrcluster --data ChrCluster --output runs/chrcluster --seeds 1,2,3

    Looks whether the folder holds what was published (6,592 pictures, four classes, copies, damaged files),
    says which folder is read as which type, makes Lin's split and a split by case, trains both steps of
    SupCAM for each seed, and writes table.md and table.json. Killed and started again, it goes on. See
    docs/reproduce.md.
    """
    with plain_errors():
        from supcam.data.layout import parse_label_map
        from supcam.workflows.reproduce import ReproducePlan, check_data, parse_seeds
        from supcam.workflows.reproduce import reproduce as run

        plan = ReproducePlan(
            data=data,
            output=output,
            recipe=recipe,
            seeds=parse_seeds(seeds),
            splits=("lin", "case") if split == "both" else (split,),
            label_map=parse_label_map(label_map) if label_map else None,
            case_rule=case_rule,
            role=role,
            strict=strict,
            command=shlex.join(["supcam", *sys.argv[1:]]),
            commit=commit,
            progress=sys.stderr.isatty(),
        )
        if check_only:
            check = check_data(plan, tell=say)
        else:
            done = run(plan, tell=say)
            check = done.check
            say(f"table in {done.page}")
        if check.unreadable:
            raise typer.Exit(SOME_FAILED)
