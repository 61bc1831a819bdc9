"""A run's folder: claimed by one run, refused to any other, and where an interrupted one is to go on."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import lightning
import numpy as np
import timm
import torch
from pydantic import ValidationError

from supcam.core.types import TrainingError
from supcam.learn.checkpoints import FINETUNE, FORMAT_VERSION, PRETRAIN, STEP, read_checkpoint
from supcam.learn.recipe import Recipe

CONFIG = "config.json"
CHECKPOINT = Path("checkpoints") / "last.ckpt"
_MADE_WITH = "made_with"
_TABLE = {PRETRAIN: "pretrain", FINETUNE: "train"}
"""The table of the recipe that a step reads."""

Identity = dict[str, object]


@dataclass(frozen=True, slots=True)
class Start:
    """What a folder holds for its run: nothing yet (step 0), a checkpoint to go on from, or all of it."""

    step: int
    checkpoint: Path | None
    is_finished: bool = False


def identity_of(recipe: Recipe, *, step: str, data_hash: str) -> Identity:
    """All that decides what a run ends with, as JSON. Raises ``TrainingError`` for a missing start."""
    config = recipe.train if step == FINETUNE else recipe.pretrain
    start = None if config is None else config.init_from
    return {
        "format_version": FORMAT_VERSION,
        STEP: step,
        "recipe": recipe.model_dump(mode="json"),
        "data_hash": data_hash,
        "init_sha256": None if start is None else sha256_of(Path(start)),
    }


def sha256_of(path: Path) -> str:
    """SHA-256 of the checkpoint that a run starts from or learns by. Raises ``TrainingError``."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainingError(
            str(error), expected="a readable checkpoint", remedy="correct the run's start", where=path
        ) from error


def open_folder(folder: Path, *, identity: Identity, total_steps: int) -> Start:
    """Where the run begins; a new folder gets its ``config.json`` first.

    Raises ``TrainingError`` when the folder holds another run, or anything else.
    """
    config = folder / CONFIG
    if not config.exists():
        _claim(folder, identity=identity)
        return Start(step=0, checkpoint=None)
    _require_same(_read_identity(config), identity=identity, where=folder)
    checkpoint = folder / CHECKPOINT
    if not checkpoint.exists():
        return Start(step=0, checkpoint=None)
    step = int(read_checkpoint(checkpoint)["global_step"])
    return Start(step=step, checkpoint=checkpoint, is_finished=step >= total_steps)


def _claim(folder: Path, *, identity: Identity) -> None:
    """An empty folder becomes the run's own."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{CONFIG}.unfinished"
    if any(item != unfinished for item in folder.iterdir()):
        raise TrainingError(
            f"files, but no {CONFIG}",
            expected="a new, an empty or a run's folder",
            remedy="name another output folder",
            where=folder,
        )
    written = {**identity, _MADE_WITH: versions()}
    unfinished.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(folder / CONFIG)


def versions() -> dict[str, str]:
    """What the run was begun with; another version may compute other bits."""
    return {module.__name__: str(module.__version__) for module in (torch, lightning, timm, np, cv2)}


def _read_identity(path: Path) -> Identity:
    """What ``config.json`` says the run is."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(
            str(error), expected="the JSON of a run", remedy="name another output folder", where=path
        ) from error
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if key != _MADE_WITH}


def _require_same(found: Identity, *, identity: Identity, where: Path) -> None:
    """Nothing, when the folder's run is this one. Else raises ``TrainingError`` that names what differs."""
    old, new = _comparable(found), _comparable(identity)
    different = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    if STEP in different:
        different = [STEP]
    if different:
        raise TrainingError(
            f"another run, which differs in {', '.join(different)}",
            expected="the same recipe and data",
            remedy="name another output folder, or go back to the recipe that the run was begun with",
            where=where,
        )


def _comparable(identity: Identity) -> dict[str, object]:
    """What must agree for two runs to be one, with dotted keys.

    Keys that an older version did not know have their defaults. The table of the other step is left out, and
    so are the paths of the start and of the data, since their hashes say more.
    """
    identity = {STEP: FINETUNE} | identity
    step = str(identity[STEP])
    try:
        recipe = Recipe.model_validate(identity.get("recipe")).model_dump(mode="json")
    except ValidationError:
        return _flat(identity)
    if step not in _TABLE:
        return _flat(identity)
    flat = _flat(identity | {"recipe": recipe})
    (other,) = (f"recipe.{table}" for one, table in _TABLE.items() if one != step)
    kept = {key: value for key, value in flat.items() if key != other and not key.startswith(f"{other}.")}
    places = {f"recipe.{_TABLE[step]}.init_from", "recipe.data.root"}
    return {key: value for key, value in kept.items() if key not in places}


def _flat(value: object, *, name: str = "") -> dict[str, object]:
    """Nested tables as one with dotted keys."""
    if not isinstance(value, dict):
        return {name: value}
    parts = [_flat(item, name=f"{name}.{key}" if name else key) for key, item in value.items()]
    return {key: item for part in parts for key, item in part.items()}
