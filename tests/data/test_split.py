from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from supcam.core.types import ClusterType, ManifestError, Sample
from supcam.data.leak import refuse_leaks
from supcam.data.manifest import ManifestOptions, read_manifest
from supcam.data.sources import SharedPictures, read_adir, read_shared_pictures
from supcam.data.split import (
    ROLES,
    CaseRole,
    Roles,
    lin_roles,
    lin_split,
    read_roles,
    write_roles,
)

COMMITTED = Path(__file__).parents[2] / "experiments" / "roles.csv"


def sample(name: str, *, case: str, sha256: str = "", source: str = "cci") -> Sample:
    return Sample(path=Path(name), case=case, source=source, sha256=sha256 or name)


@pytest.fixture
def roles() -> Roles:
    return Roles((CaseRole("cci", "a", "fold1"), CaseRole("cci", "b", "fold2"), CaseRole("x", "a", "train")))


class TestRoles:
    def test_a_case_has_the_role_of_its_source(self, roles: Roles) -> None:
        assert roles.role_of(source="cci", case="a") == "fold1"
        assert roles.role_of(source="x", case="a") == "train"
        assert roles.cases(source="cci", role="fold2") == ("b",)

    def test_a_case_without_a_role_may_not_be_used(self, roles: Roles) -> None:
        with pytest.raises(ManifestError, match="'b' of source 'x' without a role"):
            roles.role_of(source="x", case="b")

    def test_no_case_plays_two_roles(self) -> None:
        with pytest.raises(ManifestError, match="'a' of 'cci' as fold1 and as report"):
            Roles((CaseRole("cci", "a", "fold1"), CaseRole("cci", "a", "report")))

    def test_items_are_picked_by_role_in_their_order(self, roles: Roles) -> None:
        items = [sample("3", case="b"), sample("1", case="a"), sample("2", case="b")]
        assert [item.path.name for item in roles.pick(items, roles=("fold2", "train"))] == ["3", "2"]
        assert roles.sides_of(items) == ("fold2", "fold1", "fold2")
        with pytest.raises(ManifestError, match="without a role"):
            roles.pick([sample("4", case="c")], roles=("fold2",))


class TestRolesFile:
    def test_what_was_written_is_read(self, tmp_path: Path, roles: Roles) -> None:
        write_roles(roles, path=tmp_path / "roles.csv")
        assert read_roles(tmp_path / "roles.csv") == roles

    def test_roles_are_never_redrawn(self, tmp_path: Path, roles: Roles) -> None:
        path = tmp_path / "roles.csv"
        write_roles(roles, path=path)
        before = path.read_bytes()
        with pytest.raises(ManifestError, match="a roles file already"):
            write_roles(Roles(()), path=path)
        assert path.read_bytes() == before

    def test_a_folder_that_is_not_there_is_said(self, tmp_path: Path, roles: Roles) -> None:
        with pytest.raises(ManifestError, match="a place to write"):
            write_roles(roles, path=tmp_path / "none" / "roles.csv")

    def test_a_case_that_is_no_text_leaves_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="in UTF-8"):
            write_roles(Roles((CaseRole("x", "a\udcff", "train"),)), path=tmp_path / "roles.csv")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device to write to")
    def test_a_full_disk_is_said(self, tmp_path: Path, roles: Roles, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(path: Path, mode: str) -> IO[bytes]:
            path.touch()
            return open("/dev/full", "wb", buffering=0)  # noqa: PTH123

        with monkeypatch.context() as patched:
            patched.setattr("supcam.data.split.Path.open", full)
            with pytest.raises(ManifestError, match="No space left"):
                write_roles(roles, path=tmp_path / "roles.csv")
        assert list(tmp_path.iterdir()) == []

    def test_every_wrong_line_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "roles.csv"
        path.write_text("source,case,role\ncci,a,fold1\ncci,b,test\ncci,,fold2\ncci,a,fold1\n")
        with pytest.raises(ManifestError) as caught:
            read_roles(path)
        for text in ("line 3: the role 'test'", "line 4: a blank field", "line 5: the same case as line 2"):
            assert text in str(caught.value)


CHRCLUSTER = 6_592
four_counts = st.lists(st.integers(40, CHRCLUSTER - 40), min_size=3, max_size=3, unique=True).map(
    lambda cuts: np.diff([0, *sorted(cuts), CHRCLUSTER])
)


class TestLinSplit:
    @given(counts=four_counts.filter(lambda counts: counts.min() >= 15), seed=st.integers(0, 9))
    @settings(deadline=None, max_examples=15)
    def test_it_is_their_split_whatever_the_class_counts(self, counts: np.ndarray, seed: int) -> None:
        labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(4), counts))
        split = lin_split(labels.tolist())
        assert (len(split.train), len(split.validation), len(split.test)) == (5273, 659, 660)
        outer = StratifiedShuffleSplit(n_splits=1, train_size=0.8, test_size=0.2, random_state=42)
        train, held = next(outer.split(labels, labels))
        inner = StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=42)
        first, second = next(inner.split(held, labels[held]))
        np.testing.assert_array_equal(split.train, train)
        np.testing.assert_array_equal(split.validation, held[first])
        np.testing.assert_array_equal(split.test, held[second])

    @given(counts=st.lists(st.integers(15, 60), min_size=4, max_size=4))
    @settings(deadline=None, max_examples=30)
    def test_every_row_is_on_one_side_and_every_class_by_its_share(self, counts: list[int]) -> None:
        labels = np.repeat(np.arange(4), counts)
        split = lin_split(labels.tolist())
        rows = np.concatenate([split.train, split.validation, split.test, split.left_out])
        np.testing.assert_array_equal(np.sort(rows), np.arange(len(labels)))
        held = np.bincount(labels[split.train], minlength=4)
        assert np.abs(held - 0.8 * np.array(counts)).max() <= 1.5

    def test_copies_stay_on_the_last_side_that_holds_them(self) -> None:
        labels = np.repeat(np.arange(4), 50)
        plain = lin_split(labels.tolist())
        hashes = [str(row) for row in range(len(labels))]
        hashes[plain.train[0]] = hashes[plain.test[0]]
        hashes[plain.train[1]] = hashes[plain.validation[0]]
        hashes[plain.validation[1]] = hashes[plain.test[1]]
        split = lin_split(labels.tolist(), hashes=hashes)
        np.testing.assert_array_equal(split.test, plain.test)
        np.testing.assert_array_equal(split.train, plain.train[2:])
        np.testing.assert_array_equal(split.validation, np.delete(plain.validation, 1))
        assert set(split.left_out) == {*plain.train[:2], plain.validation[1]}

    def test_a_class_too_small_to_halve_is_refused(self) -> None:
        with pytest.raises(ManifestError, match="rows to divide"):
            lin_split([0] * 50 + [1] * 5)


class TestLinRoles:
    def make(self, root: Path) -> Path:
        """Forty pictures in three numbered folders; the first three of folder 5 hold the same bytes."""
        for number, n_pictures in (("2", 15), ("5", 15), ("9", 10)):
            (root / number).mkdir(parents=True)
            for i in range(n_pictures):
                content = "same" if number == "5" and i < 3 else f"{number} {i}"
                (root / number / f"{i:03}.png").write_text(content)
        return root

    def options(self, *, case_rule: str = "path") -> ManifestOptions:
        labels = {2: ClusterType.OVERLAPPING, 5: ClusterType.INSTANCE, 9: ClusterType.TOUCHING}
        return ManifestOptions(source="chr", case_rule=case_rule, label_map=labels)

    def test_the_published_sides_by_folder_number(self, tmp_path: Path) -> None:
        manifest = read_manifest(self.make(tmp_path), options=self.options())
        split = lin_split([2] * 15 + [5] * 15 + [9] * 10)
        roles = lin_roles(manifest, as_published=True)
        for role, rows in (("train", split.train), ("select", split.validation), ("report", split.test)):
            assert set(roles.cases(source="chr", role=role)) == {manifest.samples[row].case for row in rows}

    def test_copies_never_play_two_sides(self, tmp_path: Path) -> None:
        manifest = read_manifest(self.make(tmp_path), options=self.options())
        with pytest.raises(ManifestError, match="two sides"):
            refuse_leaks(manifest, roles=lin_roles(manifest, as_published=True))
        roles = lin_roles(manifest)
        refuse_leaks(manifest, roles=roles)
        assert set(roles.cases(source="chr", role="left_out")) <= {"5/000", "5/001", "5/002"}
        write_roles(roles, path=tmp_path / "roles.csv")
        assert read_roles(tmp_path / "roles.csv") == roles

    def test_pictures_that_share_a_case_are_refused(self, tmp_path: Path) -> None:
        manifest = read_manifest(self.make(tmp_path), options=self.options(case_rule="parent"))
        with pytest.raises(ManifestError, match="own case"):
            lin_roles(manifest)

    def test_another_layout_is_refused(self, tmp_path: Path) -> None:
        manifest = read_manifest(self.make(tmp_path), layout="folder")
        with pytest.raises(ManifestError, match="'folder'"):
            lin_roles(manifest)


class TestCommittedRoles:
    def test_no_case_plays_two_roles(self) -> None:
        rows = read_roles(COMMITTED).rows
        assert len({(row.source, row.case) for row in rows}) == len(rows) == 263

    def test_each_source_plays_its_own_roles(self) -> None:
        found = Counter((row.source, row.role) for row in read_roles(COMMITTED).rows)
        assert [found["cci", fold] for fold in ROLES[:5]] == [2] * 5
        assert [found["tseng24", role] for role in ("train", "select", "report")] == [139, 45, 49]
        assert [found["adir", role] for role in ("select", "report")] == [9, 11]
        assert found.total() == 263

    def test_no_slide_of_the_dapi_metaphases_is_on_two_sides(self, real_data: Path) -> None:
        pictures = read_adir(real_data).samples
        sides = read_roles(COMMITTED).sides_of(pictures)
        assert Counter(sides) == {"select": 21, "report": 39}
        slides = {
            side: {p.path.name[:3] for p, s in zip(pictures, sides, strict=True) if s == side}
            for side in sides
        }
        assert not slides["select"] & slides["report"]


@pytest.fixture(scope="module")
def pictures(real_data: Path) -> SharedPictures:
    return read_shared_pictures(real_data)


class TestRealPictures:
    def test_every_picture_has_a_role_and_no_copy_is_on_two_sides(self, pictures: SharedPictures) -> None:
        refuse_leaks(pictures.all, roles=read_roles(COMMITTED))
        assert pictures.all.unreadable == ()

    def test_no_metaphase_of_a_typed_case_is_trained_on(self, pictures: SharedPictures) -> None:
        roles = read_roles(COMMITTED)
        typed = {crop.case for crop in pictures.tseng_crops.samples}
        assert len(typed) == 59
        metaphases = [picture for picture in pictures.tseng_metaphases.pictures if picture.case in typed]
        assert len(metaphases) == 123
        assert set(roles.sides_of(metaphases)) == {"select", "report"}
        assert roles.pick(pictures.tseng_crops.samples, roles=("train",)) == ()

    def test_select_and_report_share_the_typed_crops(self, pictures: SharedPictures) -> None:
        roles = read_roles(COMMITTED)
        for kind in (ClusterType.TOUCHING, ClusterType.OVERLAPPING, ClusterType.TOUCHING_OVERLAPPING):
            crops = [crop for crop in pictures.tseng_crops.samples if crop.type is kind]
            held = Counter(roles.sides_of(crops))
            assert abs(held["select"] - held["report"]) <= 1
