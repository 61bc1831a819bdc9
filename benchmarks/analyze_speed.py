"""How long does a metaphase take? File to all results, and to the objects alone, one picture after the other.

    SUPCAM_DATA=... python benchmarks/analyze_speed.py

Pictures are metaphases of the selection role, from the folder of real pictures that SUPCAM_DATA names;
without it they are drawn. After one picture to warm up, every round analyses the same pictures in this
process (one thread) and then writes all outputs as ``supcam analyze`` does. Then ``supcam analyze`` runs on
all of them on two cores: its wall time a picture, starting included. Run it on a machine that does nothing
else: the load is written down.
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
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

import supcam
from supcam.data.sources import read_tseng_metaphases
from supcam.data.split import read_roles
from supcam.data.synthesis import draw_metaphase
from supcam.spread.outputs import Task, process

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime")
ROLES = Path(__file__).parents[1] / "experiments" / "roles.csv"
GOAL_S = 0.6


def gather(limit: int, folder: Path) -> tuple[list[Path], str]:
    """``limit`` metaphases of the selection role, or drawn ones written to ``folder``; their source."""
    data = os.environ.get("SUPCAM_DATA", "")
    if data:
        pictures = read_roles(ROLES).pick(read_tseng_metaphases(Path(data)).pictures, roles=["select"])
        chosen = np.random.default_rng(0).permutation(len(pictures))[:limit]
        return [pictures[i].path for i in chosen], "tseng24:select"
    paths = []
    for number in range(limit):
        paths.append(folder / f"{number}.png")
        cv2.imwrite(str(paths[-1]), draw_metaphase(np.random.default_rng(number)).grey)
    return paths, "drawn"


def rounds(paths: list[Path], *, n: int, folder: Path) -> dict[str, dict[str, float]]:
    """Seconds a picture for the objects alone, and for all outputs, in this process."""
    model = supcam.load_model(threads=1)
    supcam.analyze(paths[0], model=model)
    seen: dict[str, list[float]] = {"objects_alone_s": [], "all_outputs_s": []}
    for number in range(n):
        start = time.perf_counter()
        for path in paths:
            supcam.analyze(path, model=model)
        seen["objects_alone_s"].append((time.perf_counter() - start) / len(paths))
        start = time.perf_counter()
        for path in paths:
            output = folder / f"round{number}"
            process(
                Task(path, name=path.name, stem=path.stem, case="", output=output, settings=""), model=model
            )
        seen["all_outputs_s"].append((time.perf_counter() - start) / len(paths))
    return {
        name: {
            "median": round(statistics.median(values), 4),
            "low": round(min(values), 4),
            "high": round(max(values), 4),
        }
        for name, values in seen.items()
    }


def command_time(paths: list[Path], *, folder: Path) -> float:
    """Seconds a picture of ``supcam analyze`` on two processes, its start included."""
    command = [sys.executable, "-m", "supcam", "analyze", *map(str, paths)]
    start = time.perf_counter()
    subprocess.run(
        [*command, "--output", str(folder / "command"), "--processes", "2"], check=True, capture_output=True
    )
    return round((time.perf_counter() - start) / len(paths), 4)


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


def main() -> None:
    """The result on standard output and in a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/analyze_speed.json"))
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--note", default="", help="what a reader should know of this run")
    options = parser.parse_args()
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        paths, source = gather(options.pictures, Path(folder))
        result = {
            "command": shlex.join(["python", *sys.argv]),
            "note": options.note,
            "machine": about,
            "versions": {"supcam": supcam.__version__, "python": platform.python_version()}
            | {name: version(name) for name in PACKAGES},
            "pictures": {"n": len(paths), "source": source},
            "goal_s": GOAL_S,
            "one_thread": rounds(paths, n=options.rounds, folder=Path(folder)),
            "command_on_two_cores_s": command_time(paths, folder=Path(folder)),
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
