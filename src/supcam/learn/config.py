"""The stages of learning, each a frozen model: network, contrast, and the schedule of either step."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from supcam.core.config import Between, StageConfig


class NetworkConfig(StageConfig):
    """The network: a timm backbone with one input channel and three heads."""

    backbone: str = Field("resnet10t", description="Name of a timm model.")
    channels: tuple[int, ...] | None = Field(
        None, description="Stage widths, for timm ResNets; None or empty: timm's own."
    )
    stem_width: int | None = Field(
        None,
        ge=1,
        description="Half of the channels that timm's ResNets with a deep stem (resnet10t, resnet18d) begin "
        "with; None: timm's own, 32. Layers at half the picture's side cost most.",
    )
    max_count: int = Field(
        12, ge=3, le=60, description="Largest number of chromosomes told apart; last = or more."
    )
    drop_rate: float = Field(0.0, ge=0, lt=1, description="Dropout before the heads.")
    members: int = Field(
        1, ge=1, le=16, description="Backbones side by side under the same heads: an ensemble in one network."
    )


class ContrastConfig(StageConfig):
    """How pre-training tells pictures apart. All values are our choice (``docs/method.md``)."""

    method: Literal["queue", "in_batch", "moco", "cross_entropy"] = Field(
        "queue",
        description="queue: types, and keys of earlier batches; in_batch: types, and this batch alone; "
        "moco: the queue without types; cross_entropy: no contrast.",
    )
    margin_target: Literal["own", "positives", "none"] = Field(
        "own", description="Margin on the own key, on own key and positives, or nowhere."
    )
    margin_rad: float = Field(
        0.2,
        ge=0,
        le=math.pi / 2,
        description="Angle added to what is pulled together; a right angle at most.",
    )
    alpha: Annotated[float, Field(ge=0, le=1)] | Literal["uniform"] = Field(
        0.5, description="Share of the own key's term; uniform: own key and each positive weigh the same."
    )
    temperature: float = Field(0.1, gt=0, le=10, description="Cosines are divided by it.")
    denominator: Literal["others", "all"] = Field(
        "others",
        description="others: members of a type do not repel each other; all: they do (Khosla et al.).",
    )
    queue_slots: int = Field(1024, ge=1, le=1_000_000, description="Keys of earlier batches that are kept.")
    momentum: Between = Field(
        (0.99, 0.999),
        description="Share of the key encoder kept at each step, first and last of the run; less at first, "
        "while it is young.",
    )
    hidden_dim: int = Field(256, ge=1, le=65_536, description="Width of the projection head's hidden layer.")
    projection_dim: int = Field(128, ge=2, le=65_536, description="Length of queries and keys.")

    @model_validator(mode="after")
    def _key_encoder_follows(self) -> Self:
        if self.momentum[1] >= 1:
            raise ValueError("momentum must be below 1, or the key encoder stands still")
        return self


class ScheduleConfig(StageConfig):
    """What both steps of learning share: how long, how fast, on what machine."""

    seed: int = Field(0, ge=0, description="Everything random in a run follows from it.")
    epochs: int = Field(12, ge=1, le=100_000, description="Validation, and a line of history, after each.")
    pictures_per_epoch: int = Field(
        20_000, ge=1, description="Drawn anew for every epoch; whole batches only."
    )
    batch_size: int = Field(64, ge=1, le=65_536, description="Pictures per step.")
    compose: bool = Field(
        True, description="Whether clusters are composed; false: this step sees real pictures alone."
    )
    learning_rate: float = Field(
        2e-3, gt=0, le=1, description="Highest rate of AdamW, reached after the warm-up."
    )
    weight_decay: float = Field(0.05, ge=0, le=1, description="AdamW's; none on biases and norm layers.")
    warmup_share: float = Field(
        0.05, ge=0, lt=1, description="Share of all steps in which the rate rises to full."
    )
    final_rate_share: float = Field(
        0.01, ge=0, le=1, description="Share of the rate left at the end of the cosine."
    )
    average_decay: float = Field(
        0.999, ge=0, lt=1, description="Share of the averaged weights kept at each step; 0: no averaging."
    )
    gradient_clip: float = Field(1.0, ge=0, description="Longest gradient over all weights; 0: no limit.")
    precision: Literal["bfloat16", "float32"] = Field(
        "bfloat16", description="Of the network's forward pass; weights and loss are float32 always."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one.")
    devices: Annotated[int, Field(ge=1, le=1024)] | tuple[Annotated[int, Field(ge=0)], ...] = Field(
        1,
        description="Processes that share every batch, each on a device of its own: how many, or the numbers "
        "of the GPUs. Norm layers that look at the batch see a process's share of it.",
    )
    strategy: Literal[
        "auto",
        "ddp_spawn",
        "ddp_spawn_find_unused_parameters_true",
        "ddp_fork",
        "ddp_fork_find_unused_parameters_true",
    ] = Field(
        "auto",
        description="How several processes come about and agree, by Lightning's name; auto: ddp_spawn, or "
        "none where one process learns alone.",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="Threads of torch and OpenCV; 0 leaves them as they are."
    )
    workers: int = Field(
        2, ge=0, le=256, description="Processes that draw pictures; 0 draws in the main process."
    )
    checkpoint_every_steps: int = Field(200, ge=1, description="Steps lost at most when the run is killed.")
    log_every_steps: int = Field(50, ge=1, description="Steps between two lines of metrics.csv.")
    init_from: str | None = Field(
        None,
        description="Checkpoint whose averaged weights start the run, as far as its network has the same "
        "parts: from one step to the other the backbone alone; None: drawn from the seed.",
    )
    init_rate_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor on learning_rate when the run starts from a checkpoint: a gentler second stage.",
    )

    @model_validator(mode="after")
    def _one_batch_at_least(self) -> Self:
        if self.pictures_per_epoch < self.batch_size:
            raise ValueError("pictures_per_epoch must hold one batch_size at least")
        return self

    @model_validator(mode="after")
    def _devices_share_evenly(self) -> Self:
        numbers = self.devices
        if isinstance(numbers, tuple) and (
            self.device == "cpu" or not numbers or len({*numbers}) < len(numbers)
        ):
            raise ValueError("devices must be a number, or different numbers of GPUs")
        if self.batch_size % self.n_processes:
            raise ValueError("batch_size must be a multiple of the number of devices")
        return self

    @property
    def n_processes(self) -> int:
        """How many processes share every batch."""
        return self.devices if isinstance(self.devices, int) else len(self.devices)

    @property
    def highest_rate(self) -> float:
        """The learning rate once it has risen to full."""
        return self.learning_rate * (1.0 if self.init_from is None else self.init_rate_share)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; a remainder of ``pictures_per_epoch`` is left out."""
        return self.pictures_per_epoch // self.batch_size

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    @property
    def total_pictures(self) -> int:
        """Pictures seen in the whole run, each drawn anew."""
        return self.total_steps * self.batch_size


class PretrainConfig(ScheduleConfig, ContrastConfig):
    """Step 1: the backbone learns to tell types apart by contrast."""


class TrainConfig(ScheduleConfig):
    """Step 2, or the only one: the network learns to name type and number, and what is no chromosome."""

    stage: Literal["full", "probe"] = Field(
        "full",
        description="full: all weights are trained; probe: the heads, on a backbone that stands still.",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Factor on the learning rate from the heads to the last stage of the backbone, and from "
        "each stage to the one before it.",
    )
    picture_mixing: Literal["none", "mixup", "cutmix"] = Field(
        "none",
        description="Pictures of a batch mixed with each other, labels by share: a rival of composition.",
    )
    mixing_alpha: float = Field(
        1.0, gt=0, le=100, description="Shares of mixed pictures are drawn from Beta(alpha, alpha)."
    )
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="Of the type's cross-entropy.")
    count_weight: float = Field(
        0.3, ge=0, description="Weight of the count's cross-entropy; the type's is 1."
    )
    teacher: str | None = Field(
        None,
        description="Checkpoint whose answers are learnt beside the labels (distillation); None: no teacher.",
    )
    teacher_share: float = Field(
        0.5, gt=0, le=1, description="Share of the teacher's loss; the labels' loss has the rest."
    )
    teacher_temperature: float = Field(
        2.0, ge=1, le=20, description="The answers of teacher and pupil are softened by it."
    )
    weak_weight: float = Field(
        0.0, ge=0, description="Weight of what a known number says about an unknown type; 0: it says nothing."
    )
    chromosome_weight: float = Field(0.2, ge=0, description="Weight of chromosome-or-not's cross-entropy.")

    @model_validator(mode="after")
    def _rates_by_layer_need_layers(self) -> Self:
        if self.stage == "probe" and self.layer_decay != 1:
            raise ValueError("layer_decay is for stage full: a probe trains no layer of the backbone")
        return self
