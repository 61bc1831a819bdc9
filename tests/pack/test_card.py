"""Cards and calibrations: what is written is read back, and what does not belong is refused by name."""

from __future__ import annotations

import json

import pytest
from tests.tiny_bundle import tiny_model, tiny_parts

from supcam.core.types import BundleError
from supcam.measure.calibration import Calibration as FoundCalibration
from supcam.pack.card import (
    Calibration,
    Card,
    CardText,
    DataCard,
    Figure,
    FileSeal,
    parse_calibration,
    parse_card,
    seal_of,
    to_json,
)
from supcam.pack.folder import sealed_card


@pytest.fixture(scope="module")
def card() -> Card:
    parts = tiny_parts(tiny_model())
    return sealed_card(parts, contents={"model.onnx": b"model", "calibration.json": b"c", "probe.npz": b"p"})


def changed(card: Card, **changes: object) -> bytes:
    return to_json(card.model_dump(mode="json") | changes)


def resealed(card: Card, **changes: object) -> bytes:
    values = card.model_dump(mode="json", exclude={"seal"}) | changes
    return to_json(values | {"seal": seal_of(values)})


def test_a_card_is_read_back_as_it_was_written(card: Card) -> None:
    assert parse_card(changed(card), where="card.json") == card


def test_a_card_reads_the_same_however_its_json_is_laid_out(card: Card) -> None:
    values = json.loads(changed(card))
    turned = json.dumps(dict(reversed(values.items())), indent=7).encode()
    assert parse_card(turned, where="card.json") == card


def test_the_model_is_known_by_the_hash_of_its_weights(card: Card) -> None:
    assert card.model_sha256 == "9372c470eeadd5ecd9c3c74c2b3cb633f8e2f2fad799250a0f70d652b6b825e4"


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0", "", None, 1, 1.0, "1"])
def test_another_format_version_is_refused(card: Card, version: object) -> None:
    with pytest.raises(BundleError, match="format_version"):
        parse_card(resealed(card, format_version=version), where="card.json")


def test_a_new_minor_version_without_new_keys_is_read(card: Card) -> None:
    assert parse_card(resealed(card, format_version="1.9"), where="card.json").format_version == "1.9"


def test_another_major_version_is_named_before_its_unknown_keys(card: Card) -> None:
    with pytest.raises(BundleError, match=r"format_version '2\.0'"):
        parse_card(resealed(card, format_version="2.0", new_key=1), where="card.json")


@pytest.mark.parametrize("key", ["new_key", "Name", "model_sha256"])
def test_unknown_keys_are_refused_by_name(card: Card, key: str) -> None:
    with pytest.raises(BundleError, match=key):
        parse_card(resealed(card, **{key: 1}), where="card.json")


def test_unknown_keys_deep_inside_are_refused_by_name(card: Card) -> None:
    crop = card.crop.model_dump(mode="json") | {"sise_px": 9}
    with pytest.raises(BundleError, match=r"crop\.sise_px"):
        parse_card(resealed(card, crop=crop), where="card.json")


def test_a_changed_card_is_refused(card: Card) -> None:
    with pytest.raises(BundleError, match="changed after it was sealed"):
        parse_card(changed(card, version="9.9.9"), where="card.json")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b'"1.0"', b"<html>"]
)
def test_other_content_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"card\.json"):
        parse_card(content, where="card.json")


def test_a_figure_without_its_role_is_refused() -> None:
    with pytest.raises(ValueError, match="role"):
        Figure.model_validate({"name": "accuracy", "value": 0.9, "source": "drawn"})


def test_a_card_tells_figures_and_data() -> None:
    figure = Figure(name="accuracy", value=0.9, low=0.8, high=0.95, n=10, source="drawn", role="report")
    text = CardText(figures=(figure,), data=DataCard(roles={"train": ("a", "b")}, sources=("drawn",)))
    assert CardText.model_validate_json(text.model_dump_json()) == text


def test_a_file_seal_is_a_sha256() -> None:
    with pytest.raises(ValueError, match="sha256"):
        FileSeal(sha256="ABC", n_bytes=1)


def test_a_calibration_is_read_back_as_it_was_written() -> None:
    calibration = Calibration(
        temperature=1.7, prior=(1.0, 2.0, 0.5, 1.0), accept_threshold=0.8, fitted_on=("fold1", "select")
    )
    assert parse_calibration(to_json(calibration.model_dump(mode="json")), where="c.json") == calibration


def test_a_calibration_that_was_found_by_measuring_fits() -> None:
    found = FoundCalibration(
        temperature=1.3,
        accept_threshold=0.83,
        max_error=0.02,
        prior=None,
        fitted_on=("select",),
        n_samples=90,
        n_cases=12,
        accepted_share=0.7,
        accepted_error=0.015,
        accepted_clusters_error=None,
    )
    calibration = parse_calibration(to_json(found.to_json()), where="c.json")
    assert calibration.accept_threshold == 0.83
    assert set(found.to_json()) <= set(Calibration.model_fields)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0},
        {"temperature": -1},
        {"accept_threshold": 1.5},
        {"prior": [1, 1, 1]},
        {"prior": [1, 0, 1, 1]},
        {"treshold": 0.5},
        {"n_cases": -1},
    ],
)
def test_an_impossible_calibration_is_refused_by_name(values: dict[str, object]) -> None:
    with pytest.raises(BundleError, match=next(iter(values))):
        parse_calibration(json.dumps(values).encode(), where="c.json")


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(BundleError, match="temperature"):
        parse_calibration(b'{"temperature": NaN}', where="c.json")
