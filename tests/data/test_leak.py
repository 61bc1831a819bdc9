from __future__ import annotations

from pathlib import Path

import pytest

from supcam.core.types import ManifestError, Sample
from supcam.data.leak import find_leaks, refuse_leaks
from supcam.data.manifest import AnnotatedPicture, Manifest
from supcam.data.split import CaseRole, Roles


def sample(name: str, *, case: str, sha256: str = "") -> Sample:
    return Sample(path=Path(name), case=case, source="cci", sha256=sha256 or name)


@pytest.fixture
def roles() -> Roles:
    return Roles(
        (
            CaseRole("cci", "a", "fold1"),
            CaseRole("cci", "b", "fold2"),
            CaseRole("cci", "c", "left_out"),
            CaseRole("x", "a", "train"),
        )
    )


class TestLeaks:
    def test_copies_on_two_sides_are_found_and_refused(self, roles: Roles) -> None:
        samples = (
            sample("1", case="a", sha256="s"),
            sample("2", case="b", sha256="s"),
            sample("3", case="b"),
        )
        (leak,) = find_leaks(Manifest(samples=samples), roles=roles)
        assert (leak.paths, leak.sides) == ((Path("1"), Path("2")), ("fold1", "fold2"))
        with pytest.raises(ManifestError, match=r"1 pictures on two sides .* 1 \(fold1\), 2 \(fold2\)"):
            refuse_leaks(Manifest(samples=samples), roles=roles)

    def test_copies_on_one_side_are_allowed(self, roles: Roles) -> None:
        samples = (
            sample("1", case="a", sha256="s"),
            sample("2", case="a", sha256="s"),
            sample("3", case="b"),
        )
        assert find_leaks(Manifest(samples=samples), roles=roles) == ()
        refuse_leaks(Manifest(samples=samples), roles=roles)

    def test_an_annotated_picture_and_a_crop_can_be_copies(self, roles: Roles) -> None:
        picture = AnnotatedPicture(Path("m"), "a", "x", boxes=(), sha256="s")
        manifest = Manifest(samples=(sample("1", case="b", sha256="s"),), pictures=(picture,))
        assert [leak.sides for leak in find_leaks(manifest, roles=roles)] == [("fold2", "train")]

    def test_what_is_left_out_is_on_no_side(self, roles: Roles) -> None:
        samples = (sample("1", case="a", sha256="s"), sample("2", case="c", sha256="s"))
        assert find_leaks(Manifest(samples=samples), roles=roles) == ()

    def test_a_case_without_a_role_is_refused(self, roles: Roles) -> None:
        with pytest.raises(ManifestError, match="without a role"):
            find_leaks(Manifest(samples=(sample("1", case="z"),)), roles=roles)
