"""The bundled network in OpenVINO beside ONNX Runtime: crops a second, and seconds of processor a crop.

    pip install openvino
    python -m benchmarks.openvino_speed

On one core and on two, the same crops, prepared, in memory. Both take turns, every batch size in every round;
ratios are of rounds. Processor time counts what a busy machine does not change; crops a second do hang on it.
Outputs are compared first. OpenVINO computes in float32, as ONNX Runtime does. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.classify_speed import gather, machine, spread

import supcam
from supcam.pack.bundle import DEFAULT_MODEL
from supcam.pack.folder import OUTPUT_NAMES
from supcam.pack.session import Pictures, relative_difference

BATCHES = (1, 8, 32)
WORTH = 1.3
"""A second runtime is added when it is at least so many times as fast."""
Network = Callable[[Pictures], dict[str, np.ndarray]]


def on_cores(n: int) -> None:
    """This process and all its threads stay on ``n`` cores from here on."""
    cores = set(sorted(os.sched_getaffinity(1))[:n])
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def onnx_runtime(threads: int) -> Network:
    """The network as SupCAM runs it."""
    model = supcam.load_model(threads=threads)

    def run(pictures: Pictures) -> dict[str, np.ndarray]:
        outputs = model.logits(pictures)
        return {name: getattr(outputs, name) for name in OUTPUT_NAMES}

    return run


def openvino(threads: int) -> Network:
    """The same file in OpenVINO."""
    import openvino

    core = openvino.Core()
    compiled: Any = core.compile_model(
        core.read_model(DEFAULT_MODEL / "model.onnx"),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    request = compiled.create_infer_request()

    def run(pictures: Pictures) -> dict[str, np.ndarray]:
        found = request.infer({"picture": pictures}, share_inputs=True)
        return {name: found[name] for name in OUTPUT_NAMES}

    return run


def timed(network: Network, *, pictures: Pictures, batch: int) -> tuple[float, float]:
    """Wall and processor seconds for all pictures."""
    wall, processor = time.perf_counter(), time.process_time()
    for at in range(0, len(pictures), batch):
        network(pictures[at : at + batch])
    return time.perf_counter() - wall, time.process_time() - processor


def measured(pictures: Pictures, *, cores: int, rounds: int) -> dict[str, object]:
    """Both runtimes on so many cores."""
    on_cores(cores)
    networks = {"onnxruntime": onnx_runtime(cores), "openvino": openvino(cores)}
    ours, theirs = (network(pictures[:8]) for network in networks.values())
    apart = max(relative_difference(theirs[name], expected=ours[name]) for name in OUTPUT_NAMES)
    told: dict[str, object] = {"largest_difference": apart}
    for batch in BATCHES:
        seen: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
        for network in networks.values():
            network(pictures[:batch])
        for _ in range(rounds):
            for name, network in networks.items():
                seen[name].append(timed(network, pictures=pictures, batch=batch))
        told[f"batch_{batch}"] = compared(seen, n=len(pictures))
    return told


def compared(seen: dict[str, list[tuple[float, float]]], *, n: int) -> dict[str, object]:
    """Speed of each, and how many times as fast OpenVINO is, with the spread over rounds."""
    pairs = [*zip(seen["onnxruntime"], seen["openvino"], strict=True)]
    return {
        "crops_per_second": {
            name: round(statistics.median(n / wall for wall, _ in rounds), 1) for name, rounds in seen.items()
        },
        "processor_ms_a_crop": {
            name: round(statistics.median(1000 * processor / n for _, processor in rounds), 3)
            for name, rounds in seen.items()
        },
        "openvino_times_as_fast_by_wall": spread([ours[0] / theirs[0] for ours, theirs in pairs]),
        "openvino_times_as_fast_by_processor": spread([ours[1] / theirs[1] for ours, theirs in pairs]),
    }


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/openvino_speed.json"))
    parser.add_argument("--crops", type=int, default=128, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        model = supcam.load_model(threads=1)
        prepared = np.stack([model.prepare(path) for path in gather(32, Path(folder)).paths])[:, None]
    pictures = prepared[np.resize(np.arange(len(prepared)), options.crops)]
    by_cores = {f"cores_{n}": measured(pictures, cores=n, rounds=options.rounds) for n in (1, 2)}
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.openvino_speed", *sys.argv[1:]]),
        "note": options.note,
        "machine": about,
        "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
        | {name: version(name) for name in ("onnxruntime", "openvino", "numpy")},
        "worth_adding_from": WORTH,
        **by_cores,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
