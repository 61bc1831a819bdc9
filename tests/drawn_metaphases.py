"""Drawn metaphases on disk, with a Pascal VOC box for every single chromosome."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from supcam.data.slide import ObjectKind
from supcam.data.synthesis import SynthesisConfig, draw_metaphase
from supcam.workflows.composed_set import encode_png


def write_metaphase(folder: Path, *, config: SynthesisConfig, name: str = "cell1", seed: int = 3) -> int:
    """``images/<name>.png`` and ``annotations/<name>.xml``; how many boxes there are."""
    drawn = draw_metaphase(np.random.default_rng(seed), config=config)
    for part in ("images", "annotations"):
        (folder / part).mkdir(exist_ok=True)
    (folder / "images" / f"{name}.png").write_bytes(encode_png(drawn.grey))
    boxes = [
        f"<object><name>A</name><bndbox><xmin>{box.left}</xmin><ymin>{box.top}</ymin>"
        f"<xmax>{box.right}</xmax><ymax>{box.bottom}</ymax></bndbox></object>"
        for one in drawn.objects
        if one.kind is ObjectKind.CHROMOSOMES and one.n_chromosomes == 1
        for box in [one.box]
    ]
    (folder / "annotations" / f"{name}.xml").write_text(
        f"<annotation><filename>{name}.png</filename>{''.join(boxes)}</annotation>"
    )
    return len(boxes)
