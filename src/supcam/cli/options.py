"""Options that several commands share, or that are long to say: their types and what their help tells."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from supcam.core.config import ImageConfig, parse_config
from supcam.core.types import ConfigError


class PolarityChoice(StrEnum):
    """How stain shows in the pictures."""

    AUTO = "auto"
    BRIGHT_FIELD = "bright_field"
    FLUORESCENCE = "fluorescence"


PolarityOption = Annotated[
    PolarityChoice, typer.Option(help="Dark stain on bright ground, or the other way round.")
]
PageOption = Annotated[
    int, typer.Option(help="Page of files with several, from 0; channels of OME-TIFF are pages.")
]
MegapixelsOption = Annotated[float, typer.Option(help="Larger pictures are refused unread.")]
JsonOption = Annotated[Path | None, typer.Option(help="The same as JSON, with model and errors.")]
ErrorsOption = Annotated[
    Path | None, typer.Option(help="CSV of what failed [default: <output>.errors.csv, if any]")
]
ModelOption = Annotated[Path | None, typer.Option(help="Model folder [default: the one that came along]")]
BatchSizeOption = Annotated[int, typer.Option(min=1, max=64, help="Pictures the network reads at once.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, max=1024, help="[default: all cores]")]
CasesOption = Annotated[
    str,
    typer.Option(
        help="What names a picture's case: parent, stem, a regular expression with one group, or a CSV with "
        "columns image and case. [default: every picture its own]"
    ),
]
ExpectedOption = Annotated[
    int | None,
    typer.Option(min=1, max=1000, help="Highlight pictures with another number of chromosomes."),
]
PseudonymiseOption = Annotated[
    bool, typer.Option("--pseudonymise", help="Keep names of files and cases out of all results.")
]
ProcessesOption = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Pictures analysed at once [default: one for each core]")
]


class EngineChoice(StrEnum):
    """What hands out many pictures."""

    PROCESSES = "processes"
    RAY = "ray"


EngineOption = Annotated[
    EngineChoice, typer.Option(help="Processes of this machine, or Ray: other places in, Parquet out.")
]
RayAddressOption = Annotated[
    str,
    typer.Option(help="With --engine ray: the cluster, auto on one of its machines. [default: local]"),
]
MixOption = Annotated[
    str | None,
    typer.Option(
        "--prior",
        help="Mix of types in your pictures: metaphase, cluster-crops, or the shares of instance, touching, "
        "overlapping and touching_overlapping, as in 0.7,0.2,0.07,0.03. [default: that of the model's "
        "calibration]",
    ),
]
MaxErrorOption = Annotated[
    float | None,
    typer.Option(
        help="Accept only what keeps the error below this share with 90 % certainty, as 0.02; what cannot be "
        "shown is said. [default: the model's own threshold]",
    ),
]
DetailsOption = Annotated[
    bool,
    typer.Option("--details", help="More columns: type_set (every type it may be) and unfamiliarity."),
]
SetLevelOption = Annotated[
    float | None,
    typer.Option(
        help="Probability with which type_set holds the true type: 0.8, 0.9, 0.95 or 0.99. [default: 0.9]"
    ),
]
PriorOption = Annotated[
    tuple[float, float, float, float] | None,
    typer.Option(
        help="Frequency in use over frequency in training of instance, touching, overlapping and "
        "touching_overlapping, as four numbers; with --calibrate."
    ),
]
RecipeArgument = Annotated[
    Path, typer.Argument(metavar="CONFIG.toml", help="The recipe: network, data, and how weights are found.")
]
RunOption = Annotated[Path, typer.Option("--output", "-o", help="Run folder; an interrupted run goes on.")]
AverageOption = Annotated[
    list[Path] | None,
    typer.Option(help="Checkpoint of another run from the same start, averaged in; repeatable."),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]
CommitOption = Annotated[str, typer.Option(help="Version of the code, for the report.")]
LayoutOption = Annotated[
    Literal["auto", "chrcluster", "csv", "folder", "voc", "coco"],
    typer.Option(help="How pictures and labels lie on disk."),
]
SourceOption = Annotated[
    str, typer.Option(help="Where the pictures come from, as in --roles [default: the folder's name]")
]
CaseRuleOption = Annotated[
    str,
    typer.Option(
        help="What names a picture's case: column, parent, stem, path, or a regular expression with one "
        "group. [default: column for a CSV, else path]"
    ),
]
LabelMapOption = Annotated[
    str,
    typer.Option(
        metavar="0=instance,1=touching,...",
        help="Type of each numbered folder of ChrCluster's layout. [default: 0 instance, 1 touching, "
        "2 overlapping, 3 touching_overlapping]",
    ),
]
PicturesOption = Annotated[
    Path | None, typer.Option(help="Folder of annotated pictures [default: beside their boxes]")
]


def check_address(address: str, *, engine: EngineChoice) -> None:
    """Nothing, when a cluster's address goes with the engine that uses one. Raises ``ConfigError``."""
    if address and engine is not EngineChoice.RAY:
        raise ConfigError(
            f"--ray-address with --engine {engine.value}", expected="--engine ray", remedy="add it"
        )


def image_config(*, polarity: PolarityChoice, page: int, max_megapixels: float) -> ImageConfig:
    """The reader's configuration behind the three options. Raises ``ConfigError``."""
    values = {"polarity": polarity.value, "page": page, "max_megapixels": max_megapixels}
    return parse_config(ImageConfig, values, where="options")
