"""The JSON documents for programs in other languages: their versions and their schemas.

A document names its format and version under ``schema``. A new minor number only adds keys; what is there
keeps its name and its meaning until the major number changes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from supcam.core.config import StageConfig
from supcam.core.types import ConfigError
from supcam.pack.card import Calibration, Card

ANALYSIS = "supcam.analysis/1.0"
"""Format and version of ``analysis.json`` and of ``Analysis.to_json``."""
PREDICTIONS = "supcam.predictions/1.0"
"""Format and version of the JSON of ``supcam classify``."""
_PUBLISHED = ("analysis", "predictions")
_MODELS: dict[str, type[StageConfig]] = {"card": Card, "calibration": Calibration}
SCHEMAS = (*_PUBLISHED, *_MODELS)
"""Names of the documents that have a schema: the two above, and what a model folder says about itself."""

Document = dict[str, Any]


def read_schema(name: str) -> Document:
    """The JSON schema (draft 2020-12) of the documents called ``name``. Raises ``ConfigError``."""
    if name in _PUBLISHED:
        path = Path(__file__).with_name("schemas") / f"{name}.json"
        return dict(json.loads(path.read_text(encoding="utf-8")))
    if name in _MODELS:
        return _MODELS[name].model_json_schema()
    raise ConfigError(
        f"a document called {name!r}", expected=f"one of {', '.join(SCHEMAS)}", remedy="correct the name"
    )
