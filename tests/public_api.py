"""What people may rely on, as lines of text: names, signatures, members, commands with their options.

    python -m tests.public_api > tests/public_api.txt

writes it down anew, after a change that was meant; docs/public-api.md says which changes may be.
"""

from __future__ import annotations

import enum
import inspect
import sys
from collections.abc import Iterator
from functools import cached_property
from importlib import import_module
from types import FunctionType
from typing import Any, TypeAlias

import pydantic
import typer

import supcam
from supcam.cli import app

Command: TypeAlias = Any
Parameter: TypeAlias = Any
"""Both are click's, which recent versions of typer carry along under another name."""
BESIDES = (
    "supcam.core.config.ImageConfig",
    "supcam.core.types.BundleError",
    "supcam.core.types.ConfigError",
    "supcam.core.types.ImageError",
    "supcam.core.types.Box",
    "supcam.core.types.Polarity",
    "supcam.pack.estimator.CropClassifier",
    "supcam.pack.terms.Promise",
    "supcam.pack.terms.Terms",
    "supcam.spread.counting.Count",
    "supcam.spread.objects.Reason",
    "supcam.spread.objects.Seen",
    "supcam.spread.objects.SpreadObject",
    "supcam.spread.result.Quality",
    "supcam.web.client.Client",
)
"""Public names that ``supcam`` does not hold itself: what its functions take, give and raise, and doors."""


def public_names() -> list[str]:
    """Every public name, with its module."""
    return sorted([*(f"supcam.{name}" for name in supcam.__all__ if not name.startswith("_")), *BESIDES])


def python_lines() -> Iterator[str]:
    """One line for every public function, class and member of a class."""
    for name in public_names():
        module, _, last = name.rpartition(".")
        thing = getattr(import_module(module), last)
        if isinstance(thing, type):
            yield f"class {name}{_of_class(thing)}"
            yield from _members(thing, name=name)
        else:
            yield f"{name}{_signature(thing)}"


def command_lines() -> Iterator[str]:
    """One line for every command: its arguments and options."""
    yield from _commands(typer.main.get_command(app), name="supcam")


def _commands(command: Command, *, name: str) -> Iterator[str]:
    inner = getattr(command, "commands", None)
    if inner is not None:
        for each in sorted(inner):
            yield from _commands(inner[each], name=f"{name} {each}")
        return
    words = [word for each in command.params for word in _words(each) if word not in ("-h", "--help")]
    yield " ".join([name, *sorted(words)])


def _words(parameter: Parameter) -> list[str]:
    if parameter.param_type_name == "argument":
        return [f"<{parameter.name}>"]
    return [*parameter.opts, *parameter.secondary_opts]


def _of_class(thing: type) -> str:
    """How an instance is made; of an enumeration its values, of a configuration its keys."""
    if issubclass(thing, enum.Enum):
        return f"({', '.join(f'{each.name}={each.value!r}' for each in thing)})"
    if issubclass(thing, pydantic.BaseModel):
        return f"({', '.join(thing.model_fields)})"
    return _signature(thing)


def _members(thing: type, *, name: str) -> Iterator[str]:
    """The public members that its own code defines, those of our classes below it included."""
    own = [each for each in thing.__mro__ if each.__module__.split(".")[0] == "supcam"]
    found = {key: value for each in reversed(own) for key, value in vars(each).items()}
    for key in sorted(key for key in found if not key.startswith("_")):
        value = found[key]
        if isinstance(value, classmethod | staticmethod):
            value = value.__func__
        if isinstance(value, property | cached_property):
            getter = value.func if isinstance(value, cached_property) else value.fget
            result = inspect.signature(getter).return_annotation  # type: ignore[arg-type]
            yield f"{name}.{key}: {_plain(str(result))}"
        elif isinstance(value, FunctionType):
            yield f"{name}.{key}{_signature(value)}"


def _signature(thing: object) -> str:
    return _plain(str(inspect.signature(thing)))  # type: ignore[arg-type]


def _plain(text: str) -> str:
    return text.replace("'", "").replace("supcam.core.types.", "")


if __name__ == "__main__":
    sys.stdout.write("\n".join([*python_lines(), *command_lines()]) + "\n")
