"""Copy-paste without a change of label: the rival that composition is held against.

Ghiasi et al. (2021) paste objects at random places. Pasted onto a chromosome, another one makes a cluster, or
another cluster; whoever keeps the label then learns from a wrong one. What that costs is measured.
"""

from __future__ import annotations

import cv2
import numpy as np

from supcam.core.crop import Square, normalise

_BODY = 0.22
"""Stain above this share of the object's level is cut out and pasted."""


def pasted(picture: Square, *, other: Square, rng: np.random.Generator) -> Square:
    """``picture`` with the body of ``other`` laid over it, turned by any angle, at any place on the square.

    Both are network inputs, normalised; so is what comes out. What is covered is gone, as copy-paste has it;
    of a body that reaches over the edge only a part may be seen, or nothing.
    """
    size = picture.shape[0]
    centre = (size - 1) / 2
    matrix = cv2.getRotationMatrix2D((centre, centre), float(rng.uniform(0, 360)), 1.0)
    matrix = matrix + np.column_stack([np.zeros((2, 2)), rng.uniform(-size / 2, size / 2, 2)])
    laid = cv2.warpAffine(other, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return normalise(np.where(laid > _BODY, laid, picture))
