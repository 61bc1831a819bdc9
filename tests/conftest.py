"""What every test shares: checked types and shapes, one thread, a seeded generator, the real pictures."""

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from jaxtyping import install_import_hook  # noqa: E402
from tests import type_checker  # noqa: E402

# Before any test imports the package: every annotated function of it checks its types and shapes.
install_import_hook("supcam", f"{type_checker.__name__}.checked")

from collections.abc import Generator  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402

# The same examples in every run, and no failure because a machine is busy.
settings.register_profile(
    "house", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("house")


def _data_is_required() -> bool:
    return os.environ.get("SUPCAM_REQUIRE_DATA", "") not in ("", "0")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts at the same place in every test."""
    return np.random.default_rng(20230214)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real pictures that ``SUPCAM_DATA`` names; without it the test is skipped."""
    named = os.environ.get("SUPCAM_DATA", "")
    if named and Path(named).is_dir():
        return Path(named)
    reason = f"SUPCAM_DATA names no folder of real pictures (it is {named!r})"
    if _data_is_required():
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the real pictures are required, a test that asks for them may not skip."""
    report = yield
    if report.skipped and _data_is_required() and "real_data" in getattr(item, "fixturenames", ()):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} needs the real pictures and was skipped although they are required"
    return report
