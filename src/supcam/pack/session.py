"""The network at work: an ONNX Runtime session, and the drawn probe that it must answer as it once did."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from supcam.core.types import BundleError
from supcam.pack.folder import OUTPUT_NAMES, Probe

PROBE_TOLERANCE = 1e-3
"""Largest difference from the probe's expected outputs, as a share of 1 + the output's largest value."""
INTEGER_PROBE_TOLERANCE = 0.05
"""The same for a network in integers: where processors round a sum differently, a step is lost or won."""

Pictures = Float32[np.ndarray, "batch 1 size size"]


@runtime_checkable
class Tensor(Protocol):
    """An input or output of a session."""

    @property
    def name(self) -> str:
        """Its name in the ONNX file."""
        ...


@runtime_checkable
class Session(Protocol):
    """What is asked of an ONNX Runtime session."""

    def get_inputs(self) -> Sequence[Tensor]:
        """The inputs."""
        ...

    def get_outputs(self) -> Sequence[Tensor]:
        """The outputs."""
        ...

    def run(self, names: Sequence[str], feed: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs called ``names``, in that order."""
        ...


def open_session(model: bytes, *, threads: int | None, where: str) -> Session:
    """An ONNX Runtime session for ``model`` on the CPU. Raises ``BundleError``."""
    import onnxruntime  # noqa: PLC0415  reading a card needs no runtime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or usable_cores()
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    try:
        session: Session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises many kinds, all of its own
        raise _no_model(f"a model that does not load ({error})", where=where) from error
    inputs = [item.name for item in session.get_inputs()]
    outputs = [item.name for item in session.get_outputs()]
    if inputs != ["picture"] or set(outputs) != set(OUTPUT_NAMES):
        raise _no_model(f"inputs {inputs} and outputs {outputs}", where=where)
    return session


def _no_model(found: str, *, where: str) -> BundleError:
    return BundleError(
        found,
        expected=f"an ONNX model for this runtime with input picture and outputs {', '.join(OUTPUT_NAMES)}",
        remedy="update onnxruntime, or fetch the bundle again",
        where=where,
    )


def usable_cores() -> int:
    """Number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def verify_probe(session: Session, *, probe: Probe, where: str, tolerance: float = PROBE_TOLERANCE) -> None:
    """Nothing, when the network still says about the drawn probe what it said when it was packed.

    Raises ``BundleError`` beyond ``tolerance``, a share of 1 + the output's largest value.
    """
    try:
        found = session.run(OUTPUT_NAMES, {"picture": probe.picture})
    except Exception as error:  # the runtime raises many kinds, all of its own
        raise _no_model(f"a model that does not run ({error})", where=where) from error
    for name, got in zip(OUTPUT_NAMES, found, strict=True):
        expected = getattr(probe.expected, name)
        if got.shape != expected.shape or not relative_difference(got, expected=expected) <= tolerance:
            raise BundleError(
                f"{name} of the probe differs from what it was when the model was packed",
                expected=f"a difference of at most {tolerance}",
                remedy="fetch the bundle again, or update onnxruntime",
                where=where,
            )


def relative_difference(
    got: Float32[np.ndarray, "*shape"], *, expected: Float32[np.ndarray, "*shape"]
) -> float:
    """Largest difference as a share of 1 + the largest expected value; NaN when one is not finite."""
    scale = 1 + np.abs(expected, dtype=np.float64).max(initial=0)
    return float(np.abs(got.astype(np.float64) - expected).max(initial=0) / scale)
