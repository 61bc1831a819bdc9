"""Small drawn metaphases with everything known, and models to analyse them with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from tests.tiny_bundle import write_tiny

from supcam.core.types import Polarity
from supcam.data.synthesis import DrawnMetaphase, SynthesisConfig, draw_metaphase
from supcam.pack.bundle import Model, load_model
from supcam.pack.card import Calibration

KEEPS_ALL = Calibration(accept_threshold=0.5, chromosome_threshold=0.0, fitted_on=("select",))
"""A calibration that lets the model reject nothing."""


@lru_cache
def drawn(seed: int = 0, *, polarity: Polarity = Polarity.BRIGHT_FIELD, n_nuclei: int = 0) -> DrawnMetaphase:
    """A metaphase of 12 chromosomes on 360 x 400 pixels, with three specks of debris."""
    config = SynthesisConfig(
        picture_px=(360, 400),
        n_chromosomes=12,
        n_nuclei=(n_nuclei, n_nuclei),
        n_debris=(3, 3),
        length_px=(30, 80),
        polarity=polarity,
        noise_grey=(0.8, 1.0),
    )
    return draw_metaphase(np.random.default_rng(seed), config=config)


def write_spread(path: Path, *, seed: int = 0, n_nuclei: int = 0) -> Path:
    """``path``, now the picture of a drawn metaphase."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), drawn(seed, n_nuclei=n_nuclei).grey)
    return path


def tiny_spread_model(folder: Path, *, calibration: Calibration = KEEPS_ALL) -> Model:
    """A loaded tiny model, written to ``folder``."""
    write_tiny(folder, calibration=calibration)
    return load_model(folder, threads=1)
