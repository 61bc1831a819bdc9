"""Commands that compare: many recipes by one plan, their table and their picture."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated

import typer

from supcam.cli import options
from supcam.workflows.terminal import SOME_FAILED, plain_errors, say

app = typer.Typer(
    help="Many recipes compared on the same pictures: run a plan, make its table, draw its picture.",
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
    differ in step 2 alone share step 1. Killed and started again, it goes on where it stood. A run that fails
    is told and the others go on.
    """
    with plain_errors():
        from supcam.workflows.experiment.driver import Work, run_plan
        from supcam.workflows.experiment.run import Bench

        bench = Bench(folder=folder, runs=runs / folder.resolve().name, commit=commit)
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
