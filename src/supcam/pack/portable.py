"""Bundle -> the network in torch's own forms, each compared with ONNX Runtime before it is written.

Nothing that is written here runs code when it is read, with one exception that belongs to torch: a ``.pt2``
archive is for people who trust where it comes from (``torch.export.load``).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from supcam.core.types import BundleError
from supcam.learn.checkpoints import load_mean
from supcam.learn.encoder import Network
from supcam.learn.hub import CONFIG, WEIGHTS, HubNetwork, Table, hub_network
from supcam.pack.card import Card, to_json
from supcam.pack.comparison import EXACT, TOLERANCES, Weights, run_batches
from supcam.pack.export import run_torch
from supcam.pack.folder import (
    OUTPUT_NAMES,
    BundleFiles,
    Outputs,
    contents_of,
    read_folder,
    refuse_existing,
    write_contents,
)
from supcam.pack.readme import hub_readme, readme_of
from supcam.pack.restore import restore
from supcam.pack.session import Pictures, open_session, relative_difference

Form = Literal["safetensors", "torch"]
PROGRAM = "model.pt2"
_HUB_USAGE = """
import supcam
from supcam.learn.hub import HubNetwork  # pip install "supcam[train]"

model = supcam.load_model(".")                       # pictures to types, without torch
network = HubNetwork.from_pretrained(".")            # the network alone, in torch
"""
_PROGRAM_USAGE = """
import torch

program = torch.export.load("model.pt2").module()
type_logits, count_logits, chromosome_logit, embedding, type_map = program(torch.zeros(8, 1, {size}, {size}))
"""


@dataclass(frozen=True, slots=True)
class PortableReport:
    """What was written where, and how far its outputs on the probe are from those of ONNX Runtime."""

    folder: Path
    form: Form
    difference: float
    n_bytes: int

    def told(self) -> str:
        """The whole report in one line."""
        return (
            f"{self.folder}: {self.n_bytes / 1e6:.2f} MB, the network as {self.form}; against ONNX Runtime, "
            f"outputs on the model's probe differ by at most {self.difference:.1e}"
        )


def write_portable(
    bundle: Path, *, output: Path, form: Form, checkpoints: tuple[Path, ...] = ()
) -> PortableReport:
    """The network of ``bundle`` in another form, in the new folder ``output``.

    ``safetensors``: the bundle with ``model.safetensors``, ``config.json`` and a page beside it, which both
    ``load_model`` and ``HubNetwork.from_pretrained`` read. ``torch``: ``model.pt2``, a program of
    ``torch.export`` that needs torch alone. ``checkpoints`` are those that the bundle was exported from:
    their weights are written, where a bundle's are rounded to float16. Raises ``BundleError`` for a bundle
    that cannot be used or whose card does not say its network, for an ``output`` that exists, and when what
    would be written says something else than ONNX Runtime.
    """
    refuse_existing(output)
    files = read_folder(bundle)
    network = load_mean(checkpoints).network.eval() if checkpoints else restore(bundle).network
    weights = cast("Weights", files.card.weights)
    tolerance = TOLERANCES[weights].output if checkpoints or weights == "int8" else EXACT.output
    contents, said = _FORMS[form](network, files)
    difference = _require_same(said, files=files, tolerance=tolerance)
    write_contents(output, contents=contents)
    n_bytes = sum(map(len, contents.values()))
    return PortableReport(output, form=form, difference=difference, n_bytes=n_bytes)


def _safetensors(network: Network, files: BundleFiles) -> tuple[dict[str, bytes], Outputs]:
    """The files of the folder, and what the weights say once they were read back from them."""
    tables = _tables(files.card)
    content = hub_network(network, tables=tables).weights()
    fresh = HubNetwork(**tables).eval()
    fresh.load_weights(content, where=WEIGHTS)
    written = {
        WEIGHTS: content,
        CONFIG: to_json(tables),
        "README.md": hub_readme(files.card, usage=_HUB_USAGE).encode(),
    }
    return contents_of(files) | written, run_torch(fresh, pictures=files.probe.picture)


def _program(network: Network, files: BundleFiles) -> tuple[dict[str, bytes], Outputs]:
    """The files of the folder, and what the program says once it was read back from them."""
    size = files.card.crop.size_px
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own, about its own code
        program = torch.export.export(
            _Plain(network).eval(),
            (torch.zeros(2, 1, size, size),),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
        )
        torch.export.save(program, stream)
        stream.seek(0)
        fresh = torch.export.load(stream).module()
    said = _run(fresh, pictures=files.probe.picture)
    usage = _PROGRAM_USAGE.format(size=size)
    readme = readme_of(files.card, usage=usage).encode()
    kept = {name: content for name, content in contents_of(files).items() if name.endswith(".json")}
    return {PROGRAM: stream.getvalue(), "README.md": readme, **kept}, said


_FORMS: dict[Form, Callable[[Network, BundleFiles], tuple[dict[str, bytes], Outputs]]] = {
    "safetensors": _safetensors,
    "torch": _program,
}


class _Plain(nn.Module):
    """A network whose outputs are an ordinary tuple, so that its program needs no class of ours."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        output = self.network(picture)
        return tuple(getattr(output, name) for name in OUTPUT_NAMES)


def _run(program: nn.Module, *, pictures: Pictures) -> Outputs:
    """What a program says, one picture at a time and then all at once: any batch size must do."""
    with torch.inference_mode():
        single = [program(torch.from_numpy(picture[None])) for picture in pictures]
        whole = program(torch.from_numpy(pictures))
    alone = [torch.cat([each[n] for each in single]).numpy() for n in range(len(OUTPUT_NAMES))]
    for name, one, many in zip(OUTPUT_NAMES, alone, whole, strict=True):
        if not relative_difference(one, expected=many.numpy()) <= EXACT.output:
            raise _another(f"{name} that hangs on the batch size")
    return Outputs(*(np.ascontiguousarray(many.numpy()) for many in whole))


def _tables(card: Card) -> dict[str, Table]:
    """What the network is and sees, as ``HubNetwork`` takes it and ``config.json`` keeps it."""
    return {
        "network": dict(card.network),
        "crop": card.crop.model_dump(mode="json"),
        "foreground": card.foreground.model_dump(mode="json"),
    }


def _require_same(said: Outputs, *, files: BundleFiles, tolerance: float) -> float:
    """The largest difference from ONNX Runtime, here, on the probe. Raises ``BundleError``."""
    session = open_session(files.model, threads=1, where=str(files.folder))
    expected = run_batches(session, pictures=files.probe.picture, batch_size=len(files.probe.picture))
    largest = 0.0
    for name in OUTPUT_NAMES:
        difference = relative_difference(getattr(said, name), expected=getattr(expected, name))
        if not difference <= tolerance:
            raise _another(f"{name} {difference:.2g} away from ONNX Runtime's")
        largest = max(largest, difference)
    return largest


def _another(found: str) -> BundleError:
    return BundleError(
        found,
        expected="the outputs of the bundle",
        remedy="give the checkpoint that the bundle was exported from, or report this",
    )
