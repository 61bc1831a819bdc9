"""Commands that compare: many recipes by one plan, their table and their picture; what networks see."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from supcam.cli import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say

app = typer.Typer(
    help="Recipes and networks compared on the same pictures: run a plan, make its table, draw its picture; "
    "draw maps of what networks see.",
    no_args_is_help=True,
)

PlanArgument = Annotated[
    Path, typer.Argument(metavar="PLAN_FOLDER", help="Folder with plan.toml and a recipe for every row.")
]


@app.command()
def run(
    folder: PlanArgument,
    *,
    runs: Annotated[
        Path, typer.Option(help="Where checkpoints go; what is there already is taken up.")
    ] = Path("runs"),
    rows: Annotated[
        list[str] | None,
        typer.Option("--row", help="Only this row, by its recipe's name; repeatable. [default: all]"),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=256, help="Runs side by side.")] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how long it would take, and stop.")] = False,
    keep_gb: Annotated[
        float,
        typer.Option(min=0, help="Room under --runs for drawn batches, until the plan is done; 0: none."),
    ] = 20.0,
    commit: options.CommitOption = "",
) -> None:
    """Every run of a plan that has no result yet.

    Needs: pip install "supcam[train]".

    \b
    supcam experiment run experiments/first_table --dry-run
    supcam experiment run experiments/first_table --processes 2
    supcam experiment table experiments/first_table --into docs/results.md

    The time is estimated first, from the plan's own rates or, once there are some, from its finished runs; a
    plan above its budget_hours is refused. Each run leaves one JSON file in PLAN_FOLDER/results. Runs that
    differ in step 2 alone share step 1, and those that differ in how they learn share the pictures drawn for
    one of them (--keep-gb). Killed and started again, it goes on where it stood. A run that fails is told and
    the others go on.
    """
    with plain_errors():
        from supcam.workflows.experiment.driver import Work, run_plan
        from supcam.workflows.experiment.run import Bench

        bench = Bench(
            folder=folder,
            runs=runs / folder.resolve().name,
            commit=commit,
            kept_bytes=round(keep_gb * 1e9),
        )
        work = Work(only=tuple(rows or ()), processes=processes, tell=say, dry=dry_run)
        if run_plan(bench, work=work):
            raise typer.Exit(SOME_FAILED)


@app.command()
def table(
    folder: PlanArgument,
    *,
    into: Annotated[
        Path | None,
        typer.Option(help="Document with the lines <!-- table of NAME --> and <!-- end of NAME -->."),
    ] = None,
) -> None:
    """The plan's table as Markdown; rows that were not run are shown as not run.

    Needs: pip install "supcam[measure]".

    \b
    supcam experiment table experiments/first_table
    supcam experiment table experiments/first_table --into docs/results.md
    """
    with plain_errors():
        from supcam.workflows.experiment.table import put_into, told

        if into is None:
            typer.echo(told(folder))
        else:
            say(f"table in {put_into(into, folder=folder)}")


@app.command()
def plot(
    folder: PlanArgument,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG file.")],
    scored: Annotated[
        str | None, typer.Option("--set", help="Which scored set of the plan. [default: the first]")
    ] = None,
) -> None:
    """A dot and its interval for every finished row, and the same against the minutes it took.

    Needs: pip install "supcam[measure]".

    \b
    supcam experiment plot experiments/first_table --output first_table.png --set cci
    """
    with plain_errors():
        from supcam.workflows.experiment.table import plot as draw

        say(f"picture in {draw(folder, output=output, scored=scored)}")


@app.command()
def embed(
    config: options.RecipeArgument,
    *,
    weights: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=CHECKPOINT|MODEL|chance",
            help="A network and what it is called; of either step, a model folder, or drawn by chance; "
            "repeatable, and the first is what the others are compared with.",
        ),
    ],
    parts: Annotated[
        list[str],
        typer.Option("--part", help="Pictures that are shown, as source:role; repeatable."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder; never overwritten.")],
    by: Annotated[Literal["tsne", "pca"], typer.Option(help="How features become places on a map.")] = "tsne",
    neighbours: Annotated[int, typer.Option(min=1, max=1000, help="Pictures that read another's type.")] = 5,
    most: Annotated[
        int,
        typer.Option(min=1, help="Pictures of each type and source that are taken, drawn by the seed."),
    ] = 300,
    seed: options.SeedOption = 0,
    commit: options.CommitOption = "",
) -> None:
    """Maps of what networks see in labelled pictures before and after each step; how far types lie apart.

    Needs: pip install "supcam[train]".

    \b
    supcam experiment embed experiments/default/contrast.toml --output maps --part tseng24:select \\
        --weights before=chance --weights step-1=runs/contrast/checkpoints/last.ckpt

    The recipe says where the pictures lie, who plays what (the roles file beside it), and what network chance
    draws. maps.png shows a map a network, types as colours, sources as shapes. maps.md and maps.json hold
    what does not depend on the eye: silhouettes by type; the macro recall of types read by the nearest
    pictures of other cases, with intervals by case; and how often the laboratory of a single chromosome is
    read from its features. Parts that a network's last step learnt from are named, since there it looks
    better than it is.
    """
    with plain_errors():
        from supcam.workflows.experiment.maps import MapsPlan, Weights, draw_maps, told

        plan = MapsPlan(
            recipe=config,
            weights=tuple(Weights(*_named(one)) for one in weights),
            parts=tuple(parts),
            output=output,
            how=by,
            neighbours=neighbours,
            most=most,
            seed=seed,
            command=shlex.join(["supcam", *sys.argv[1:]]),
            commit=commit,
        )
        for line in told(draw_maps(plan)):
            typer.echo(line)
        say(f"maps in {output}")


def _named(weights: str) -> tuple[str, str]:
    """What stands before the first = and behind it; without one, the name is that of the weights."""
    name, found, place = weights.partition("=")
    return (name, place) if found else (weights, weights)
