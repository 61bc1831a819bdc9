"""Commands that run the service and look after what it keeps."""
# ruff: noqa: PLC0415, D301
# A command pays for its own imports and for no others; a backspace in a help text keeps its lines apart.

from pathlib import Path
from typing import Annotated, Literal

import typer

from supcam.cli import options
from supcam.workflows.terminal import plain_errors, say

DataOption = Annotated[Path, typer.Option("--data", help="Folder of the service's pictures and database.")]
DatabaseOption = Annotated[
    str, typer.Option(help="postgresql://USER@HOST/NAME [default: SQLite in the data folder]")
]
_DATA = Path("supcam-data")

token = typer.Typer(help="Who may use the service: tokens with a role.", no_args_is_help=True)


def serve(
    *,
    host: Annotated[
        str, typer.Option(help="Address; any but this machine's own asks for tokens.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0: any that is free.")] = 8000,
    data: DataOption = _DATA,
    database: DatabaseOption = "",
    model: options.ModelOption = None,
    workers: Annotated[int, typer.Option(min=0, max=256, help="Processes that read pictures.")] = 1,
    require_token: Annotated[
        bool, typer.Option("--require-token", help="Also on this machine, behind a proxy for instance.")
    ] = False,
    config: Annotated[Path | None, typer.Option(help="TOML with more settings, limits for instance.")] = None,
) -> None:
    """The service: an API, and a page on which people correct what the model says.

    \b
    supcam serve --port 8000
    supcam serve --host 0.0.0.0 --database postgresql://supcam@db/supcam --workers 2

    By default it answers this machine alone. For any other address make tokens first: supcam token create.
    What was accepted is read even if the service is killed and started again. Needs the extra "web".
    """
    with plain_errors():
        from supcam.web.serving import run

        given = {
            "host": host,
            "port": port,
            "data": data,
            "database": database,
            "model": model,
            "workers": workers,
            "require_token": require_token,
        }
        run(given, toml=config)


def purge(
    *,
    case: Annotated[str | None, typer.Option(help="Pictures of this case.")] = None,
    older_than: Annotated[float | None, typer.Option(min=0, help="Pictures older than so many days.")] = None,
    data: DataOption = _DATA,
    database: DatabaseOption = "",
) -> None:
    """Patients' data removed: pictures, crops and names; decisions stay, with a tombstone.

    \b
    supcam purge --case K-0042
    supcam purge --older-than 365

    May run beside the service. Copies in backups are yours to remove.
    """
    with plain_errors():
        from supcam.web.serving import purge_now

        say(purge_now(case=case, older_than_days=older_than, data=data, database=database))


def second_look(
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most.")] = 100,
    data: DataOption = _DATA,
    database: DatabaseOption = "",
) -> None:
    """Decisions that are likely wrong, the likeliest first, as a table on standard output.

    \b
    supcam second-look --limit 50

    Each decision is held against the probabilities of the model that had read the object before anybody
    had decided on it. The page /second-look of the service shows the same with pictures. Needs the extra
    "labels".
    """
    with plain_errors():
        from supcam.web.serving import second_look_now

        for line in second_look_now(data=data, database=database, limit=limit):
            typer.echo(line)


@token.command()
def create(
    name: Annotated[str, typer.Argument(help="Whose decisions these will be.")],
    *,
    role: Annotated[
        Literal["reader", "reviewer", "admin"],
        typer.Option(help="reader looks, reviewer also hands in and decides, admin also purges."),
    ] = "reviewer",
    data: DataOption = _DATA,
    database: DatabaseOption = "",
) -> None:
    """A new token, told once on standard output."""
    with plain_errors():
        from supcam.web.serving import opened
        from supcam.web.tokens import create_token

        with opened(data=data, database=database) as store:
            typer.echo(create_token(store, name=name, role=role, actor="terminal").text)


@token.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="The id, as supcam token list tells it.")],
    *,
    data: DataOption = _DATA,
    database: DatabaseOption = "",
) -> None:
    """From now on that token lets nobody in."""
    with plain_errors():
        from supcam.web.serving import opened
        from supcam.web.tokens import revoke_token

        with opened(data=data, database=database) as store:
            revoke_token(store, token_id, actor="terminal")
        say(f"token {token_id} is revoked")


@token.command(name="list")
def list_all(*, data: DataOption = _DATA, database: DatabaseOption = "") -> None:
    """All tokens: id, role, state, name."""
    with plain_errors():
        from supcam.web.serving import opened
        from supcam.web.tokens import list_tokens

        with opened(data=data, database=database) as store:
            for row in list_tokens(store):
                state = "valid" if row.revoked_s is None else "revoked"
                typer.echo(f"{row.id}  {row.role:8}  {state:7}  {row.name}")
