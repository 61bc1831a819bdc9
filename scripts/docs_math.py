"""Equations of the documentation as MathML, which browsers draw by themselves: no script, no font."""

from __future__ import annotations

from latex2mathml.converter import convert


def as_mathml(source: str, *_: object, **__: object) -> str:
    """The block of a fence ``math``, one LaTeX equation in each paragraph, as pymdownx's superfences ask."""
    equations = [part.strip() for part in source.split("\n\n") if part.strip()]
    return "\n".join(f'<div class="math">{convert(part, display="block")}</div>' for part in equations)
