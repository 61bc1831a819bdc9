"""Everything that one training configuration file says."""

from pydantic import Field, JsonValue

from supcam.core.config import (
    CropConfig,
    ForegroundConfig,
    ImageConfig,
    NetworkConfig,
    StageConfig,
    TrainConfig,
)


class Recipe(StageConfig):
    """A table a stage; ``data``, ``composition`` and ``views`` are checked by whoever builds the sources."""

    network: NetworkConfig = Field(NetworkConfig(), description="Backbone and heads.")
    train: TrainConfig = Field(TrainConfig(), description="How the weights are found.")
    crop: CropConfig = Field(CropConfig(), description="What the network sees.")
    image: ImageConfig = Field(ImageConfig(), description="How files are read.")
    foreground: ForegroundConfig = Field(ForegroundConfig(), description="What is foreground and contact.")
    data: dict[str, JsonValue] = Field({}, description="Which pictures, in which roles.")
    composition: dict[str, JsonValue] = Field({}, description="How samples are composed.")
    views: dict[str, JsonValue] = Field({}, description="How pictures are varied.")
