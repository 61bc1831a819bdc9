"""The angular margin: cos(theta) -> cos(theta + m), with a slope that stays finite."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

ROUNDING_RAD = 0.01
"""The tip that cos(theta + m) has at theta = 0 is rounded off below this angle, which bounds its gradient."""


def cosine_with_margin(cosine: Float[Tensor, "*shape"], *, margin_rad: float) -> Float[Tensor, "*shape"]:
    """cos(theta + m) of cos(theta), for a margin m from 0 to a right angle; it falls up to theta = pi.

    Beyond pi - m, where cos(theta + m) would rise again, ArcFace's cos(theta) - m sin(m) goes on (Deng et
    al., 2019). Below ``ROUNDING_RAD`` a parabola takes the place of sin(theta), whose slope in cos(theta)
    grows without bound; both agree at either end.
    """
    if margin_rad == 0:
        return cosine
    square = 1 - cosine.square()
    smallest = torch.finfo(cosine.dtype).tiny  # keeps the root's slope finite where it is not used
    sine = torch.where(
        cosine > math.cos(ROUNDING_RAD),
        square / math.sin(ROUNDING_RAD),
        square.clamp(min=smallest).sqrt(),
    )
    near = cosine * math.cos(margin_rad) - sine * math.sin(margin_rad)
    far = cosine - margin_rad * math.sin(margin_rad)
    return torch.where(cosine > -math.cos(margin_rad), near, far)
