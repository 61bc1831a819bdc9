"""A picture that the network is unsure of is shown to it from all sides; the mean of what it says counts.

A chromosome has no upper end on a slide, so that turned and mirrored pictures show the same object: the eight
symmetries of the square cost eight looks, and are kept for those that one look leaves open (our choice).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from supcam.pack.folder import Outputs
from supcam.pack.session import Pictures

_LOGITS = ("type_logits", "count_logits", "chromosome_logit")

Logits = Callable[[Pictures], Outputs]
"""What the network says about pictures, each one by itself: ``Model.logits``."""


def from_all_sides(
    outputs: Outputs, *, pictures: Pictures, unsure: Bool[np.ndarray, " batch"], logits: Logits
) -> Outputs:
    """``outputs`` of ``pictures``, the logits of those that are ``unsure`` the mean over eight symmetries.

    Embeddings and type maps stay those of the picture as it lies.
    """
    rows = np.flatnonzero(unsure)
    if not rows.size:
        return outputs
    asked = pictures[rows]
    said = [outputs.rows(rows), *(logits(_turned(asked, turns=n % 4, mirrored=n > 3)) for n in range(1, 8))]
    means = {name: getattr(outputs, name).copy() for name in _LOGITS}
    for name, values in means.items():
        values[rows] = np.mean([getattr(side, name) for side in said], axis=0)
    return replace(outputs, **means)


def _turned(pictures: Pictures, *, turns: int, mirrored: bool) -> Pictures:
    turned = np.rot90(pictures, turns, axes=(2, 3))
    return np.ascontiguousarray(turned[..., ::-1] if mirrored else turned)
