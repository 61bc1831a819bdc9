"""The reference of a bundle: sealed like every other file, and optional."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.tiny_bundle import tiny_model, tiny_parts

from supcam.core.types import BundleError
from supcam.pack.folder import REFERENCE, parts_of, read_folder, read_reference, write_folder
from supcam.pack.reference import KnownPicture, Reference, parse_reference

KNOWN = Reference(
    embedding_mean=(0.5,),
    embedding_spread=(1.5,),
    pictures=tuple(KnownPicture(case=n, values={"width_px": 10.0 + n}) for n in range(2)),
)


def test_a_bundle_keeps_its_reference_and_does_without(tmp_path: Path) -> None:
    parts = tiny_parts(tiny_model())
    write_folder(tmp_path / "bare", parts=parts)
    assert read_folder(tmp_path / "bare").reference is None
    card = write_folder(tmp_path / "known", parts=replace(parts, reference=KNOWN))
    assert REFERENCE in card.files
    files = read_folder(tmp_path / "known")
    assert files.reference == read_reference(tmp_path / "known" / REFERENCE) == KNOWN
    assert parts_of(files).reference == KNOWN


def test_a_changed_reference_is_refused(tmp_path: Path) -> None:
    write_folder(tmp_path / "known", parts=replace(tiny_parts(tiny_model()), reference=KNOWN))
    path = tmp_path / "known" / REFERENCE
    path.write_bytes(path.read_bytes().replace(b"10.0", b"19.0"))
    with pytest.raises(BundleError, match="changed or cut short"):
        read_folder(tmp_path / "known")


def test_unknown_keys_are_named() -> None:
    with pytest.raises(BundleError, match="colour"):
        parse_reference(b'{"colour": 1}', where="here")
