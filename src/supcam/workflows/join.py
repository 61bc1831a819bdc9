"""``supcam join``: trained networks -> one checkpoint that gives the mean of their logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from supcam.learn.checkpoints import LoadedNetwork, load_network
from supcam.learn.ensemble import write_joined
from supcam.pack.restore import restore


def join(parts: Sequence[Path], *, output: Path) -> Path:
    """The checkpoint at ``output``, made of checkpoints and model folders.

    Raises ``TrainingError`` or ``BundleError`` for a part that cannot be used, for networks that do not fit
    each other, and when there is something at ``output``.
    """
    return write_joined([_loaded(part) for part in parts], path=output)


def _loaded(part: Path) -> LoadedNetwork:
    """The network of a checkpoint, or of a model folder."""
    if not part.is_dir():
        return load_network(part)
    restored = restore(part)
    card = restored.files.card
    return LoadedNetwork(
        network=restored.network,
        recipe=restored.recipe,
        data_hash=f"bundle {card.name} {card.version} {card.seal}",
        step=0,
    )
