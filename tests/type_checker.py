"""beartype as the checker behind jaxtyping's import hook, without the two hints that it cannot check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception

Function = Callable[..., Any]

SETTINGS = BeartypeConf(is_pep484_tower=True)
"""As for mypy, an int is welcome where a float is asked for."""

UNCHECKABLE = (BeartypeDecorHintPep673Exception, BeartypeDecorHintPep3119Exception)
"""``Self``, which is understood on whole classes only; a protocol that is for static checking."""


def checked(function: Function) -> Function:
    """``function`` with its hints checked at each call; as it was where a hint cannot be checked."""
    try:
        return beartype(conf=SETTINGS)(function)
    except UNCHECKABLE:
        return function
