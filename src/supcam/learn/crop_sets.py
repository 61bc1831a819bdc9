"""A recipe's harvest -> arrays of crops: what rivals learn from, the very pictures that networks see."""

from __future__ import annotations

import numpy as np

from supcam.data.crop_set import CropSet, crop_set
from supcam.data.harvest import Harvest
from supcam.learn.batches import Example, ExampleSource
from supcam.learn.stages import Stages


def real_crops(harvest: Harvest, *, stages: Stages) -> CropSet:
    """Every harvested single chromosome and cluster once, as it is; debris is left out."""
    return crop_set([*harvest.singles, *harvest.clusters], crop=stages.crop)


def drawn_crops(source: ExampleSource, *, n: int, seed: int) -> CropSet:
    """``n`` samples as a network would get them from ``source``, composed or not; debris is left out.

    Draw i comes from ``default_rng([seed, i])``, as many draws as it takes.
    """
    examples: list[Example] = []
    place = 0
    while len(examples) < n:
        example = source.draw(np.random.default_rng([seed, place]))
        place += 1
        if example.is_chromosome:
            examples.append(example)
    return CropSet(
        pictures=np.stack([example.picture[0] for example in examples]),
        types=np.array([example.type for example in examples], np.int64),
        counts=np.array([example.count for example in examples], np.int64),
    )
