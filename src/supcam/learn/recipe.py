"""Everything that one training configuration file says."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field, JsonValue

from supcam.core.config import CropConfig, ForegroundConfig, ImageConfig, StageConfig, parse_config, read_toml
from supcam.core.types import ConfigError
from supcam.learn.config import NetworkConfig, PretrainConfig, TrainConfig

_EXTENDS = "extends"
_LONGEST_CHAIN = 8


class Recipe(StageConfig):
    """A table a stage; ``data``, ``composition`` and ``views`` are checked by whoever builds the sources."""

    network: NetworkConfig = Field(NetworkConfig(), description="Backbone and heads.")
    pretrain: PretrainConfig | None = Field(
        None, description="Step 1, contrast; None: the only step is train, from weights drawn by chance."
    )
    train: TrainConfig = Field(TrainConfig(), description="Step 2, the classifier.")
    crop: CropConfig = Field(CropConfig(), description="What the network sees.")
    image: ImageConfig = Field(ImageConfig(), description="How files are read.")
    foreground: ForegroundConfig = Field(ForegroundConfig(), description="What is foreground and contact.")
    data: dict[str, JsonValue] = Field({}, description="Which pictures, in which roles.")
    composition: dict[str, JsonValue] = Field({}, description="How samples are composed.")
    views: dict[str, JsonValue] = Field({}, description="How pictures are varied.")

    def seeded(self, seed: int) -> "Recipe":
        """The recipe with that seed in either step."""
        step = {"seed": seed}
        first = None if self.pretrain is None else self.pretrain.model_copy(update=step)
        return self.model_copy(update={"pretrain": first, "train": self.train.model_copy(update=step)})

    def started_from(self, checkpoint: Path) -> "Recipe":
        """The recipe with its step 2 begun from ``checkpoint``."""
        step = self.train.model_copy(update={"init_from": str(checkpoint)})
        return self.model_copy(update={"train": step})


def read_recipe(path: Path) -> Recipe:
    """The recipe in the TOML file ``path``, checked.

    A first line ``extends = "other.toml"`` takes over everything that the other file (looked for beside this
    one) says and this one does not; a table is merged key by key, a list is replaced. Raises ``ConfigError``
    for an unknown key, a value out of range, and files that extend each other in a circle.
    """
    return parse_config(Recipe, _read_chain(path, left=_LONGEST_CHAIN), where=path)


def _read_chain(path: Path, *, left: int) -> dict[str, object]:
    values = read_toml(path)
    base = values.pop(_EXTENDS, None)
    if base is None:
        return values
    if not isinstance(base, str) or left == 0:
        raise ConfigError(
            f"extends = {base!r}",
            expected=f"the name of a file, and a chain of at most {_LONGEST_CHAIN} files",
            remedy="correct the key, and see that no file extends itself",
            where=path,
        )
    return _merged(_read_chain(path.parent / base, left=left - 1), over=values)


def _merged(base: Mapping[str, object], *, over: Mapping[str, object]) -> dict[str, object]:
    """``base`` with the values of ``over`` in place of its own, table by table."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = _merged(below, over=value) if both else value  # type: ignore[arg-type]
    return merged
