from __future__ import annotations

import pytest

from supcam.core.safe_xml import local_name, parse_xml


def test_namespaces_do_not_matter() -> None:
    tree = parse_xml('<OME xmlns="http://example.org/a"><Image/></OME>', root="OME")
    assert [local_name(child) for child in tree] == ["Image"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        ("<a><b></a>", "no well-formed"),
        ("", "no well-formed"),
        ("<a>&x;</a>", "no well-formed"),
        ("<b/>", "another kind: <b>"),
        ('<?xml version="1.0" encoding="strange"?><a/>', "no well-formed"),
        ("<a>" + " " * 100 + "</a>", "more than 50 bytes"),
    ],
)
def test_what_is_not_trusted(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_xml(text.encode(), root="a", most_bytes=50 if len(text) > 90 else 1000)
