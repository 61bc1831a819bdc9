"""The container files name what is there: files, extras, commands and their options."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import typer.main
import yaml

from supcam.cli import app

ROOT = Path(__file__).resolve().parents[1]
CONTAINERFILE = (ROOT / "Containerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def instruction(name: str) -> list[str]:
    """What follows the instruction, each time it occurs; lines that go on are joined."""
    whole = CONTAINERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in whole.splitlines() if line.startswith(f"{name} ")]


def parsed(words: list[str]) -> dict[str, Any]:
    """The options of the command that the words name; the words are understood."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"no command {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    options: dict[str, Any] = command.make_context("supcam", words).params
    return options


def test_copied_files_are_there_and_are_let_through() -> None:
    let_through = re.findall(r"^!(.+)$", (ROOT / ".containerignore").read_text(encoding="utf-8"), re.M)
    copied = [word for line in instruction("COPY") for word in line.split()[:-1]]
    assert set(copied) == set(let_through)
    assert all((ROOT / name).exists() for name in copied)


def test_installed_extras_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (extras,) = re.findall(r'"\.\[([a-z,]+)\]"', CONTAINERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])


def test_the_container_serves_without_being_root() -> None:
    assert [json.loads(line) for line in instruction("ENTRYPOINT")] == [["supcam"]]
    given = parsed(json.loads(instruction("CMD")[0]))
    assert (given["host"], given["port"], given["data"]) == ("0.0.0.0", 8000, Path("/data"))
    assert instruction("USER") == ["supcam"]
    assert instruction("VOLUME") == ["/data"]
    assert instruction("EXPOSE") == ["8000"]
    assert "/healthz" in instruction("HEALTHCHECK")[0]


def test_the_composed_service_reaches_its_database_and_this_machine_alone() -> None:
    service, database = COMPOSE["services"]["service"], COMPOSE["services"]["database"]
    given = parsed(service["command"])
    user, name = database["environment"]["POSTGRES_USER"], database["environment"]["POSTGRES_DB"]
    assert given["database"] == f"postgresql://{user}@database/{name}"
    assert service["ports"] == [f"127.0.0.1:8000:{given['port']}"]
    assert service["environment"]["PGPASSWORD"] == database["environment"]["POSTGRES_PASSWORD"]
    assert service["volumes"] == [f"data:{given['data']}"]
    assert set(COMPOSE["volumes"]) == {"data", "database"}


def test_commands_in_the_comments_are_understood() -> None:
    text = CONTAINERFILE + (ROOT / "compose.yaml").read_text(encoding="utf-8")
    told = re.findall(r"(token create .+)$", text, re.M)
    assert len(told) == 2
    for words in told:
        assert parsed(shlex.split(words))["name"] == "Ann Example"
