from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from supcam.core.types import Box, ClusterType, ManifestError
from supcam.data.manifest import Layout, Manifest, ManifestOptions, read_manifest


def make(root: Path, *names: str, content: str = "") -> Path:
    """Files that hold their own names, or ``content``: a manifest never decodes a picture."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content or name)
    return root


def write_table(root: Path, *lines: str, header: str = "path,case,type,n_chromosomes") -> Path:
    path = root / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


class TestNumberedFolders:
    def test_the_default_map_is_an_assumption_that_is_said(self, tmp_path: Path) -> None:
        manifest = read_manifest(make(tmp_path / "chr", "0/a.png", "1/a.png", "2/b.png", "3/c.png"))
        assert manifest.layout == "chrcluster"
        assert [sample.type for sample in manifest.samples] == list(ClusterType)
        assert [sample.n_chromosomes for sample in manifest.samples] == [1, None, None, None]
        assert manifest.label_map == {int(kind): kind for kind in ClusterType}
        assert "0 = instance, 1 = touching" in manifest.notes[0]

    def test_every_picture_is_its_own_case_even_under_one_name(self, tmp_path: Path) -> None:
        manifest = read_manifest(make(tmp_path / "chr", "0/a.png", "1/a.png"))
        assert [(sample.source, sample.case) for sample in manifest.samples] == [
            ("chr", "0/a"),
            ("chr", "1/a"),
        ]

    def test_another_map_is_used_and_recorded(self, tmp_path: Path) -> None:
        labels = {7: ClusterType.OVERLAPPING, 1: ClusterType.INSTANCE}
        manifest = read_manifest(
            make(tmp_path, "7/a.png", "1/b.png"), options=ManifestOptions(label_map=labels)
        )
        assert {sample.path.name: sample.type for sample in manifest.samples} == {
            "a.png": ClusterType.OVERLAPPING,
            "b.png": ClusterType.INSTANCE,
        }
        assert manifest.label_map == labels
        assert "1 = instance, 7 = overlapping" in manifest.notes[0]

    @pytest.mark.parametrize("name", ["4/a.png", "a.png", "touching/a.png", "-1/a.png", "²/a.png"])
    def test_a_picture_under_no_known_number_is_refused(self, tmp_path: Path, name: str) -> None:
        make(tmp_path, "0/good.png", name)
        with pytest.raises(ManifestError, match="label map"):
            read_manifest(tmp_path, layout="chrcluster")


class TestTable:
    def test_what_the_lines_say(self, tmp_path: Path) -> None:
        make(tmp_path, "a.png", "sub/b c.png", "d.png", "ü,'\".png")
        table = write_table(
            tmp_path,
            "a.png,1,instance,1",
            "sub/b c.png,1,Touching-Overlapping,5.0",
            "d.png,2,,",
            '"ü,\'"".png",2,overlapping,',
        )
        found = {sample.path.name: sample for sample in read_manifest(table).samples}
        assert [(s.case, s.type, s.n_chromosomes) for s in found.values()] == [
            ("1", ClusterType.INSTANCE, 1),
            ("2", None, None),
            ("1", ClusterType.TOUCHING_OVERLAPPING, 5),
            ("2", ClusterType.OVERLAPPING, None),
        ]
        assert found["d.png"].path == tmp_path / "d.png"
        assert found["a.png"].sha256 == hashlib.sha256(b"a.png").hexdigest()
        assert {sample.source for sample in found.values()} == {tmp_path.name}

    def test_an_instance_without_a_count_is_one_chromosome(self, tmp_path: Path) -> None:
        make(tmp_path, "a.png")
        assert read_manifest(write_table(tmp_path, "a.png,1,instance,")).samples[0].n_chromosomes == 1

    def test_a_source_column_goes_before_the_option(self, tmp_path: Path) -> None:
        make(tmp_path, "a.png", "b.png")
        table = write_table(tmp_path, "a.png,1,lab", "b.png,1,", header="path,case,source")
        manifest = read_manifest(table, options=ManifestOptions(source="given"))
        assert [sample.source for sample in manifest.samples] == ["lab", "given"]

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("b.png,1,instance,2", "instance with 2 chromosomes"),
            ("b.png,1,touching,1", "touching with 1 chromosome"),
            ("b.png,1,heap,2", "'heap' is not a cluster type"),
            ("b.png,1,touching,0", "'0' is no number"),
            ("b.png,1,touching,-2", "'-2' is no number"),
            ("b.png,1,touching,2.5", "'2.5' is no number"),
            ("b.png,1,,many", "'many' is no number"),
            ("b.png,1,,inf", "'inf' is no number"),
            ("b.png,1,,99999", "'99999' is no number"),
            ("b.png,,touching,2", "no case"),
            (",1,touching,2", "no path"),
            ("./a.png,1,,", "the same path as line 2"),
        ],
    )
    def test_a_line_that_cannot_be_right_is_named(self, tmp_path: Path, line: str, reason: str) -> None:
        make(tmp_path, "a.png", "b.png")
        with pytest.raises(ManifestError) as caught:
            read_manifest(write_table(tmp_path, "a.png,1,,", line))
        assert f"line 3: {reason}" in str(caught.value)
        assert str(tmp_path / "table.csv") in str(caught.value)

    def test_all_wrong_lines_are_named_in_order(self, tmp_path: Path) -> None:
        table = write_table(tmp_path, "a.png,1,instance,3", "b.png,,,", "a.png,1,,")
        with pytest.raises(ManifestError, match=r"line 2: instance.*line 3: no case.*line 4: the same path"):
            read_manifest(table)

    def test_a_missing_picture_is_listed_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        make(tmp_path, "a.png")
        (tmp_path / "empty.png").touch()
        (tmp_path / "link.png").symlink_to("nowhere.png")
        (tmp_path / "loop.png").symlink_to("loop.png")
        names = ("a.png", "none.png", "empty.png", "link.png", "loop.png", ".", "nul\0.png")
        manifest = read_manifest(write_table(tmp_path, *(f"{name},1,,2" for name in names)))
        assert [sample.path.name for sample in manifest.samples] == ["a.png"]
        reasons = {item.path.name: item.reason for item in manifest.unreadable}
        assert reasons.keys() == {"none.png", "empty.png", "link.png", "loop.png", tmp_path.name, "nul\0.png"}
        assert reasons["none.png"] == reasons["link.png"] == "No such file or directory"
        assert reasons["empty.png"] == "the file is empty"
        assert reasons[tmp_path.name] == "no regular file"

    def test_a_picture_that_may_not_be_read_is_listed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make(tmp_path, "a.png", "b.png")

        def refuse(path: Path) -> str:
            if path.name == "a.png":
                raise PermissionError(13, "Permission denied", str(path))
            return "0" * 64

        monkeypatch.setattr("supcam.data.manifest.hash_file", refuse)
        manifest = read_manifest(write_table(tmp_path, "a.png,1,,2", "b.png,1,,2"))
        assert [sample.path.name for sample in manifest.samples] == ["b.png"]
        assert [item.reason for item in manifest.unreadable] == ["Permission denied"]

    def test_a_folder_is_read_through_its_table(self, tmp_path: Path) -> None:
        make(tmp_path, "a.png", "b.png")
        write_table(tmp_path, "a.png,1,touching,2").rename(tmp_path / "labels.csv")
        assert [sample.path.name for sample in read_manifest(tmp_path).samples] == ["a.png"]

    def test_the_case_can_come_from_the_name(self, tmp_path: Path) -> None:
        make(tmp_path, "p7/a.png", "p7/b.png", "q.png")
        table = write_table(tmp_path, "p7/a.png,touching", "p7/b.png,", "q.png,", header="path,type")
        manifest = read_manifest(table, options=ManifestOptions(case_rule=r"^p(\d+)/"))
        assert [sample.case for sample in manifest.samples] == ["7", "7"]
        assert "no case" in manifest.unreadable[0].reason
        with pytest.raises(ManifestError, match="path,case"):
            read_manifest(table)


class TestPlainFolder:
    def test_pictures_without_labels(self, tmp_path: Path) -> None:
        make(tmp_path / "lab", "x/a.png", "x/b.tif", "c.jpg", "notes.txt")
        manifest = read_manifest(tmp_path / "lab")
        assert manifest.layout == "folder"
        assert [sample.case for sample in manifest.samples] == ["c", "x/a", "x/b"]
        assert all(sample.type is None and sample.n_chromosomes is None for sample in manifest.samples)
        assert {sample.source for sample in manifest.samples} == {"lab"}

    @pytest.mark.parametrize(
        ("rule", "case"), [("parent", "x"), ("stem", "a"), ("path", "x/a"), ("(.)/", "x")]
    )
    def test_case_rules(self, tmp_path: Path, rule: str, case: str) -> None:
        manifest = read_manifest(make(tmp_path, "x/a.png"), options=ManifestOptions(case_rule=rule))
        assert manifest.samples[0].case == case

    def test_a_column_needs_a_table(self, tmp_path: Path) -> None:
        with pytest.raises(ManifestError, match="'column'"):
            read_manifest(make(tmp_path, "x/a.png"), options=ManifestOptions(case_rule="column"))

    def test_an_empty_folder_is_an_empty_manifest(self, tmp_path: Path) -> None:
        assert read_manifest(tmp_path) == Manifest(layout="folder")

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        manifest = read_manifest(tmp_path)
        assert [item.reason for item in manifest.unreadable] == ["no regular file"]


def write_voc(path: Path, *, file_name: str, name: str = "B6", left: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"<annotation><filename>{file_name}</filename><size><width>90</width><height>80</height></size>"
        f"<object><name>{name}</name><bndbox><xmin>{left}</xmin><ymin>5</ymin><xmax>20</xmax><ymax>95</ymax></bndbox>"
        "</object></annotation>"
    )


class TestVoc:
    @pytest.mark.parametrize(
        ("annotations", "images", "asked"),
        [
            ("annotations", "images", "."),
            ("annotations", "images", "annotations"),
            ("Annotations", "JPEGImages", "."),
            (".", ".", "."),
        ],
    )
    def test_boxes_belong_to_their_picture(
        self, tmp_path: Path, annotations: str, images: str, asked: str
    ) -> None:
        make(tmp_path / images, "12_1.jpg", "13_4.jpg")
        write_voc(tmp_path / annotations / "12_1.xml", file_name="12_1.jpg")
        options = ManifestOptions(case_rule=r"(\d+)_\d$", source="lab")
        manifest = read_manifest(tmp_path / asked, options=options)
        (picture,) = manifest.pictures
        assert (manifest.layout, picture.case, picture.source) == ("voc", "12", "lab")
        assert (picture.boxes, picture.names) == ((Box(top=5, left=4, bottom=80, right=20),), ("B6",))
        assert picture.sha256 == hashlib.sha256(b"12_1.jpg").hexdigest()

    def test_a_box_does_not_say_that_its_chromosome_stands_alone(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg", "b.jpg", "c.jpg")
        write_voc(tmp_path / "a.xml", file_name="a.jpg", name="X")
        write_voc(tmp_path / "b.xml", file_name="b.jpg", name="instance")
        write_voc(tmp_path / "c.xml", file_name="c.jpg", name="overlapping")
        samples = read_manifest(tmp_path).samples
        known = [(sample.type, sample.n_chromosomes) for sample in samples]
        assert known == [(None, None), (ClusterType.INSTANCE, 1), (ClusterType.OVERLAPPING, None)]
        assert all(sample.box == Box(5, 4, 80, 20) for sample in samples)

    def test_what_cannot_be_used_is_listed_with_the_reason(self, tmp_path: Path) -> None:
        make(tmp_path, "good.jpg", "bad.jpg", "wrong.jpg")
        write_voc(tmp_path / "good.xml", file_name="good.jpg")
        write_voc(tmp_path / "alone.xml", file_name="nowhere.jpg")
        write_voc(tmp_path / "wrong.xml", file_name="wrong.jpg", left=30)
        write_voc(tmp_path / "second.xml", file_name="good.jpg")
        (tmp_path / "bad.xml").write_text("<annotation>")
        manifest = read_manifest(tmp_path)
        assert [picture.path.name for picture in manifest.pictures] == ["good.jpg"]
        reasons = {item.path.name: item.reason for item in manifest.unreadable}
        assert reasons.keys() == {"alone.xml", "wrong.xml", "second.xml", "bad.xml"}
        assert "0 pictures" in reasons["alone.xml"]
        assert "holds nothing" in reasons["wrong.xml"]
        assert "a second annotation of 'good.jpg'" in reasons["second.xml"]

    def test_a_picture_without_boxes_stays(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg")
        (tmp_path / "a.xml").write_text("<annotation/>")
        manifest = read_manifest(tmp_path)
        assert [picture.boxes for picture in manifest.pictures] == [()]
        assert manifest.samples == ()


class TestCoco:
    def test_pictures_lie_beside_the_table_or_where_it_is_said(self, tmp_path: Path) -> None:
        make(tmp_path / "pictures", "case1/a.png")
        table = {
            "images": [{"id": 1, "file_name": "case1/a.png"}, {"id": 2, "file_name": "case1/none.png"}],
            "annotations": [{"image_id": 1, "category_id": 4, "bbox": [1, 2, 3, 4]}],
            "categories": [{"id": 4, "name": "touching"}],
        }
        path = tmp_path / "pictures" / "coco.json"
        path.write_text(json.dumps(table))
        first = read_manifest(path, options=ManifestOptions(case_rule="parent", source="lab"))
        path = path.rename(tmp_path / "coco.json")
        options = ManifestOptions(case_rule="parent", source="lab", pictures_folder=tmp_path / "pictures")
        assert read_manifest(path, options=options) == first
        assert [(sample.type, sample.case) for sample in first.samples] == [(ClusterType.TOUCHING, "case1")]
        assert first.pictures[0].boxes == (Box(top=2, left=1, bottom=6, right=4),)
        assert [item.path.name for item in first.unreadable] == ["none.png"]


class TestManifest:
    def test_exact_duplicates_are_reported_whatever_they_are_called(self, tmp_path: Path) -> None:
        make(tmp_path, "a.png", "x/b.tif", "x/c.png", content="same")
        make(tmp_path, "d.png", "e.png")
        assert read_manifest(tmp_path).duplicates == (
            (tmp_path / "a.png", tmp_path / "x" / "b.tif", tmp_path / "x" / "c.png"),
        )

    def test_two_boxes_of_one_picture_are_no_duplicates(self, tmp_path: Path) -> None:
        make(tmp_path, "a.jpg")
        write_voc(tmp_path / "a.xml", file_name="a.jpg")
        text = (tmp_path / "a.xml").read_text()
        thing = text[text.index("<object>") : text.index("</annotation>")]
        (tmp_path / "a.xml").write_text(text.replace("</annotation>", thing + "</annotation>"))
        manifest = read_manifest(tmp_path)
        assert len(manifest.samples) == 2
        assert manifest.duplicates == ()

    def test_duplicates_are_found_across_two_manifests(self, tmp_path: Path) -> None:
        one = read_manifest(make(tmp_path / "one", "a.png", content="same"))
        two = read_manifest(make(tmp_path / "two", "0/b.png", content="same"))
        both = one + two
        assert both.duplicates == ((tmp_path / "one" / "a.png", tmp_path / "two" / "0" / "b.png"),)
        assert (both.layout, len(both.samples), both.notes) == ("auto", 2, two.notes)

    def test_the_fingerprint_knows_contents_and_labels_but_not_places(self, tmp_path: Path) -> None:
        options = ManifestOptions(source="lab")
        one = read_manifest(make(tmp_path / "one", "0/a.png", "1/b.png"), options=options)
        two = read_manifest(make(tmp_path / "two", "0/a.png", "1/b.png"), options=options)
        assert one.fingerprint == two.fingerprint
        assert replace(two, samples=two.samples[::-1]).fingerprint == one.fingerprint
        relabelled = replace(two.samples[0], type=ClusterType.TOUCHING)
        assert replace(two, samples=(relabelled, *two.samples[1:])).fingerprint != one.fingerprint
        make(tmp_path / "two", "1/b.png", content="changed")
        assert read_manifest(tmp_path / "two", options=options).fingerprint != one.fingerprint

    def test_the_same_twice_is_the_same(self, tmp_path: Path) -> None:
        make(tmp_path, "b.png", "a.png", "c/d.png")
        assert read_manifest(tmp_path) == read_manifest(tmp_path)

    @pytest.mark.parametrize("layout", ["auto", "csv", "folder", "voc", "coco", "chrcluster"])
    def test_a_missing_path_is_refused(self, tmp_path: Path, layout: Layout) -> None:
        with pytest.raises(ManifestError, match="nothing there"):
            read_manifest(tmp_path / "none", layout=layout)

    @pytest.mark.parametrize("layout", ["folder", "chrcluster", "voc"])
    def test_a_file_where_a_folder_was_asked_for_is_refused(self, tmp_path: Path, layout: Layout) -> None:
        make(tmp_path, "a.png")
        with pytest.raises(ManifestError, match="folder"):
            read_manifest(tmp_path / "a.png", layout=layout)

    @pytest.mark.parametrize("layout", ["csv", "coco"])
    def test_a_folder_where_a_table_was_asked_for_is_refused(self, tmp_path: Path, layout: Layout) -> None:
        with pytest.raises(ManifestError, match=r"table|CSV"):
            read_manifest(tmp_path, layout=layout)
