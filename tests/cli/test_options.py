"""Options that commands share."""

from __future__ import annotations

import pytest

from supcam.cli.options import EngineChoice, PolarityChoice, check_address, image_config
from supcam.core.types import ConfigError, Polarity


def test_choices_are_those_of_the_reader() -> None:
    assert {choice.value for choice in PolarityChoice} == {"auto", *(polarity.value for polarity in Polarity)}
    for choice in PolarityChoice:
        config = image_config(polarity=choice, page=2, max_megapixels=3.5)
        assert (config.polarity, config.page, config.max_megapixels) == (choice.value, 2, 3.5)


@pytest.mark.parametrize(("page", "megapixels"), [(-1, 10.0), (0, 0.0), (0, float("nan"))])
def test_values_out_of_range_are_refused(page: int, megapixels: float) -> None:
    with pytest.raises(ConfigError):
        image_config(polarity=PolarityChoice.AUTO, page=page, max_megapixels=megapixels)


def test_a_cluster_goes_with_the_engine_that_uses_one() -> None:
    check_address("auto", engine=EngineChoice.RAY)
    check_address("", engine=EngineChoice.PROCESSES)
    with pytest.raises(ConfigError, match="--engine processes"):
        check_address("auto", engine=EngineChoice.PROCESSES)
