"""IDs, for people."""

from __future__ import annotations

from hanoverd.text.short_id import short_id


def test_an_id_is_cut_as_dockers_client_does() -> None:
    assert short_id("sha256:" + "0123456789abcdef" * 4) == "0123456789ab"
    assert short_id("0123456789abcdef") == "0123456789ab"
    assert short_id("") == ""
