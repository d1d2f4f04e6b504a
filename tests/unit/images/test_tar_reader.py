"""Tars of any content: what is read, and what is refused before it takes memory or time."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.images.tar_reader import MAX_ENTRIES, MAX_NAME, MAX_PAX, Entry, Kind, TarReader
from tests.unit.images.archives import END, MIB, entry, header, padded, pax, record
from tests.unit.timing import assert_linear


def read(data: bytes) -> list[tuple[Entry, bytes]]:
    """Return the entries with their contents."""
    reader = TarReader(io.BytesIO(data))
    found = []
    while (one := reader.next()) is not None:
        found.append((one, b"".join(reader.content())))
    return found


def names(data: bytes) -> list[str]:
    """Return the names of the entries."""
    return [one.name for one, _ in read(data)]


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@given(
    contents=st.dictionaries(
        st.text(st.characters(exclude_characters="/\0", codec="ascii"), min_size=1, max_size=90).filter(
            lambda name: name.strip() not in ("", ".", "..")
        ),
        st.binary(max_size=1200),
        max_size=4,
    )
)
def test_files_are_read_as_tarfile_wrote_them(tar_format: int, contents: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for name, content in contents.items():
            made = tarfile.TarInfo(name)
            made.size = len(content)
            tar.addfile(made, io.BytesIO(content))
    assert {one.name: content for one, content in read(buffer.getvalue())} == contents


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_are_read(tar_format: int) -> None:
    buffer = io.BytesIO()
    long = "é/" * 200 + "x"
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE):
            made = tarfile.TarInfo(long)
            made.type, made.linkname = kind, long if kind != tarfile.DIRTYPE else ""
            tar.addfile(made)
    found = [one for one, _ in read(buffer.getvalue())]
    assert [one.kind for one in found] == [Kind.FOLDER, Kind.SYMBOLIC_LINK, Kind.HARD_LINK]
    assert [(one.name.rstrip("/"), one.target) for one in found] == [(long, ""), (long, long), (long, long)]


def test_a_pax_header_is_for_the_next_entry_only() -> None:
    data = pax({"path": "new", "size": "3", "comment": "1 2=3"}) + header("old", 0) + padded(b"abc") + entry("next")
    assert [(one.name, content) for one, content in read(data + END)] == [("new", b"abc"), ("next", b"")]


def test_a_global_header_is_skipped() -> None:
    assert names(pax({"path": "all"}, tarfile.XGLTYPE) + entry("a") + entry("b") + END) == ["a", "b"]


def test_content_that_was_not_read_is_skipped() -> None:
    reader = TarReader(io.BytesIO(entry("a", b"x" * 1000) + entry("b", b"y") + END))
    assert reader.next() == Entry("a", Kind.FILE, 1000)
    assert reader.next() == Entry("b", Kind.FILE, 1)
    assert list(reader.content()) == [b"y"]
    assert reader.next() is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 512, "invalid header"),
        (b"x" * 100, "invalid header"),
        (entry("a", b"x" * 600)[:700], "it ends within a file"),
        (entry("a", b"x" * 600)[:-1], "it ends within an entry"),
        (header("x", 600, tarfile.XHDTYPE) + b"y" * 100, "it ends within an entry"),
        (pax({"path": "a"}), "it ends after an extended header"),
        (header("L", MAX_NAME + 2, tarfile.GNUTYPE_LONGNAME), "an extended header has 1026 bytes"),
        (header("x", MAX_PAX + 1, tarfile.XHDTYPE), "an extended header has 65537 bytes"),
        (header("g", MAX_PAX + 1, tarfile.XGLTYPE), "an extended header has 65537 bytes"),
        (pax({"path": "n" * (MAX_NAME + 1)}) + entry("a"), "has more than 1024 characters"),
        (pax({"path": "a"}) * 5 + entry("a"), "more than 4 extended headers"),
        (entry("dev\x1b[2J", kind=tarfile.BLKTYPE), r'"dev\\x1b\[2J" is neither a file nor a folder'),
        (entry("s", kind=tarfile.GNUTYPE_SPARSE), "sparse files are not supported"),
        (pax({"GNU.sparse.major": "1"}) + entry("s"), "sparse files are not supported"),
        (pax({"size": "-1"}) + entry("a"), "invalid number"),
        (pax({"size": "9" * 20}) + entry("a"), "invalid number"),
        (entry("x", b"9 path=ab\n", tarfile.XHDTYPE) + entry("a"), "PAX header is invalid"),
        (entry("x", b"0 path=ab\n", tarfile.XHDTYPE) + entry("a"), "PAX header is invalid"),
        (entry("x", b"99 path=ab\n", tarfile.XHDTYPE) + entry("a"), "PAX header is invalid"),
        (entry("x", b"1" * 5000, tarfile.XHDTYPE) + entry("a"), "PAX header is invalid"),
        (entry("x", b"10 path=a\n11111111", tarfile.XHDTYPE) + entry("a"), "PAX header is invalid"),
        (entry("x", record("path", "a") + b"y" * 100, tarfile.XHDTYPE) + entry("a"), "PAX header is invalid"),
        (header("a", -5), "negative size"),
    ],
)
def test_what_is_not_a_tar_of_an_image_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(data + END * (b"extended" in message.encode() and not message.startswith("it ends")))


def test_the_number_of_entries_is_limited() -> None:
    assert len(read(entry("a") * MAX_ENTRIES + END)) == MAX_ENTRIES
    with pytest.raises(ValueError, match="more than 10000 entries"):
        read(entry("a") * (MAX_ENTRIES + 1) + END)


def test_a_header_that_says_it_has_a_gibibyte_takes_no_memory() -> None:
    tracemalloc.start()
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        with pytest.raises(ValueError, match="an extended header has"):
            read(header("x", 1024 * MIB, kind) + bytes(MIB))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * MIB


def test_many_large_pax_headers_take_no_memory() -> None:
    content = b"".join(record(f"key{number:06}", "x") for number in range(3000))
    data = (entry("x", content, tarfile.XHDTYPE) + entry("a")) * 40
    tracemalloc.start()
    assert len(read(data + END)) == 40
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 8 * MIB + len(data)


def test_a_pax_header_of_digits_takes_linear_time() -> None:
    def refuse(size: int) -> Callable[[], None]:
        data = entry("x", b"1" * size, tarfile.XHDTYPE) + entry("a") + END

        def work() -> None:
            for _ in range(20):
                with pytest.raises(ValueError, match="PAX header is invalid"):
                    read(data)

        return work

    assert_linear(refuse(6_000), refuse(60_000))


@given(st.binary(max_size=3000), st.integers(0, 3000), st.binary(max_size=20))
def test_any_bytes_are_read_or_refused(noise: bytes, position: int, change: bytes) -> None:
    whole = pax({"path": "a"}) + entry("b", b"content") + entry("c", kind=tarfile.SYMTYPE, target="d") + END
    for data in (noise, whole[:position] + change + whole[position + len(change) :]):
        try:
            read(data)
        except ValueError:
            pass
