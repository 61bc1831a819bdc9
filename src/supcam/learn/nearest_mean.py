"""Types read from embeddings by the nearest mean of a type: how an encoder without classifier is watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor
from torch.nn import functional

from supcam.core.types import ClusterType
from supcam.learn.batches import UNKNOWN


@dataclass(frozen=True, slots=True, eq=False)
class TypeMeans:
    """Where the pictures of each type lie: their mean direction, seen from the centre of all of them.

    After Wang et al. (2019, "SimpleShot"): embeddings are centred and made unit vectors first. A type without
    a picture is not ``known``.
    """

    centre: Float32[Tensor, " dim"]
    directions: Float32[Tensor, "4 dim"]
    known: Bool[Tensor, " 4"]

    @classmethod
    def of(cls, embeddings: Float[Tensor, "pictures dim"], *, types: Int64[Tensor, " pictures"]) -> Self:
        """The means of pictures whose types are known; those of type -1 are left out."""
        centre = embeddings[types != UNKNOWN].float().mean(dim=0)
        members = types[:, None] == torch.arange(len(ClusterType), device=types.device)
        sums = members.float().T @ functional.normalize(embeddings.float() - centre, dim=1)
        return cls(centre=centre, directions=functional.normalize(sums, dim=1), known=members.any(dim=0))

    def logits(
        self, embeddings: Float[Tensor, "pictures dim"], *, temperature: float
    ) -> Float32[Tensor, "pictures 4"]:
        """The cosine to each mean over ``temperature``; the lowest number there is for a type not known."""
        cosines = functional.normalize(embeddings.float() - self.centre, dim=1) @ self.directions.T
        return (cosines / temperature).masked_fill(~self.known, torch.finfo(torch.float32).min)
