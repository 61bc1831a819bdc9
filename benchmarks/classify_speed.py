"""How fast is a crop read? File to prediction on one core, beside torch with two networks on the same crops.

    SUPCAM_DATA=... python benchmarks/classify_speed.py

After loading, every round reads the same crops in turn: one by one and in batches with the model, its network
alone on prepared crops, and ResNeXt-101 32x8d and ResNet-50 at 224 pixels in torch with plain reading and
resizing (drawn weights: their values cost nothing). Rounds alternate, so that a busy moment meets all. Before
that, the time from the command line to the first answer, each in a fresh process. Crops come from the folder
of real pictures that SUPCAM_DATA names; without it they are drawn. Run it on a machine that does nothing
else: the load is written down. Linux only: elsewhere a process cannot be kept on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import timm
import torch

import supcam
from supcam.core.types import ClusterType
from supcam.data.manifest import read_manifest
from supcam.data.synthesis import draw_cluster, to_grey
from supcam.pack.bundle import Model

PEERS = {"torch_resnext101": "resnext101_32x8d", "torch_resnet50": "resnet50"}
PEER_PX, PEER_BATCH = 224, 16
PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "torch", "timm")
RIM_PX = 12
Spread = dict[str, float | list[float]]


@dataclass(frozen=True)
class Crops:
    """Crop files and where they come from."""

    paths: tuple[Path, ...]
    source: str


def gather(limit: int, folder: Path) -> Crops:
    """``limit`` real crops from all cases, or as many drawn ones written to ``folder``."""
    data = os.environ.get("SUPCAM_DATA", "")
    if data:
        samples = [s for s in read_manifest(Path(data) / "cci").samples if s.type is not None]
        chosen = np.random.default_rng(0).permutation(len(samples))[:limit]
        return Crops(tuple(samples[i].path for i in chosen), "cci")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(limit):
        kind = ClusterType(number % 4)
        n_chromosomes = 1 if kind is ClusterType.INSTANCE else 3
        stain = draw_cluster(rng, type=kind, n_chromosomes=n_chromosomes).stain
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), to_grey(np.pad(stain, RIM_PX), rng=rng))
    return Crops(tuple(paths), "drawn")


def peer(name: str) -> Callable[[Sequence[Path]], None]:
    """A function that reads crops, shrinks them to 224 pixels and classifies them by timm's ``name``."""
    network = timm.create_model(name, num_classes=4).eval()

    def classify(paths: Sequence[Path]) -> None:
        for at in range(0, len(paths), PEER_BATCH):
            batch = [_peer_input(path) for path in paths[at : at + PEER_BATCH]]
            with torch.inference_mode():
                network(torch.from_numpy(np.stack(batch))).argmax(dim=1)

    return classify


def _peer_input(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path} cannot be read")
    square = cv2.resize(picture, (PEER_PX, PEER_PX)).astype(np.float32) / 255
    return np.ascontiguousarray(square.transpose(2, 0, 1))


def ways(model: Model, crops: Crops) -> dict[str, Callable[[], None]]:
    """What is timed, by name; each reads all crops once."""
    squares = np.stack([model.prepare(path) for path in crops.paths])[:, None]
    rivals = {name: peer(network) for name, network in PEERS.items()}

    def one_by_one() -> None:
        for path in crops.paths:
            model.predict([path])

    def network_one_by_one() -> None:
        for square in squares:
            model.logits(square[None])

    return {
        "file_to_prediction": one_by_one,
        "file_to_prediction_batched": lambda: _drop(model.predict(crops.paths)),
        "network_alone": network_one_by_one,
        "network_alone_batched": lambda: _drop(model.logits(squares)),
    } | {name: lambda read=read: read(crops.paths) for name, read in rivals.items()}


def _drop(_: object) -> None:
    """Nothing: the answer is not needed."""


def time_rounds(timed: dict[str, Callable[[], None]], *, rounds: int, n_crops: int) -> dict[str, Spread]:
    """Milliseconds a crop of each way over ``rounds``, in turn, after one round to warm up."""
    seen: dict[str, list[float]] = {name: [] for name in timed}
    for round_number in range(rounds + 1):
        for name, run in timed.items():
            start = time.perf_counter()
            run()
            if round_number:
                seen[name].append(1000 * (time.perf_counter() - start) / n_crops)
    return {name: spread(values) for name, values in seen.items()}


def spread(values: Sequence[float]) -> Spread:
    """Median, lowest, highest and all of ``values``."""
    return {
        "median": round(statistics.median(values), 4),
        "low": round(min(values), 4),
        "high": round(max(values), 4),
        "rounds": [round(value, 4) for value in values],
    }


def ratios(theirs: float | list[float], *, ours: list[float]) -> Spread:
    """How many times as long they took, round by round."""
    assert isinstance(theirs, list)
    return spread([their / our for their, our in zip(theirs, ours, strict=True)])


def first_answers(path: Path, *, model: Path | None, times: int) -> Spread:
    """Seconds from the command line to the written answer for one crop, in ``times`` fresh processes."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "supcam", "classify", str(path), "-o", f"{folder}/p.csv"]
        command += ["--model", str(model)] if model else []
        for _ in range(times):
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    return spread(seconds)


def machine() -> dict[str, object]:
    """What it ran on, and how busy that was."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": named[0] if named else platform.processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def keep_one_core() -> None:
    """This process and its threads, those of the libraries included, stay on one core from here on."""
    core = {max(os.sched_getaffinity(0))}
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), core)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def measure(options: argparse.Namespace, *, folder: Path) -> dict[str, object]:
    """Everything that is written to the result."""
    about = machine()
    crops = gather(options.crops, folder)
    answers = first_answers(crops.paths[0], model=options.model, times=options.starts)
    keep_one_core()
    model = supcam.load_model(options.model, threads=1)
    times = time_rounds(ways(model, crops), rounds=options.rounds, n_crops=len(crops.paths))
    ours = times["file_to_prediction"]["rounds"]
    assert isinstance(ours, list)
    return {
        "command": shlex.join(["python", *sys.argv]),
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in PACKAGES},
        "model": {
            "name": model.card.name,
            "version": model.card.version,
            "sha256": model.card.model_sha256,
        },
        "crops": {"n": len(crops.paths), "source": crops.source},
        "ms_per_crop_on_one_core": times,
        "times_faster_than": {name: ratios(times[name]["rounds"], ours=ours) for name in PEERS},
        "first_answer_s": answers,
    }


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="model folder; the one that came along by default")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/classify_speed.json"))
    parser.add_argument("--crops", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--starts", type=int, default=7, help="fresh processes for the first answer")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, folder=Path(folder))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
