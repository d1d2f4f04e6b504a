"""A folder whose author is hostile: links out of it, files that are replaced, and very many, deep or large files."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hanoverd.docker import build_context, context_walk
from hanoverd.docker.abort import Abort
from hanoverd.docker.build_context import LARGEST_FILE, BuildContext
from hanoverd.docker.context_walk import walk
from hanoverd.docker.dockerignore import Ignored, Verdict
from hanoverd.runtime.errors import EngineUnreachable, ObtainFailed
from hanoverd.runtime.regular_files import open_entry


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder beside a file that is nobody's business."""
    (tmp_path / "secret").write_text("password of the database")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path / "app"


@pytest.fixture
def deep(folder: Path) -> Iterator[Path]:
    """A folder of 1,100 levels."""
    make_deep(folder, 1100, "d")
    yield folder
    remove_deep(folder, "d")


def make_deep(folder: Path, levels: int, name: str) -> None:
    """Make folders in each other, and the file "end" in the last."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        here, above = os.open(name, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def remove_deep(folder: Path, name: str) -> None:
    """Remove such folders: the standard library needs a level of its own stack for each."""
    for _ in range(10_000):
        # The contents of the first move up beside it, so that it is empty.
        first, inner = folder / name, folder / name / name
        if inner.exists():
            inner.rename(folder / "moved")
            shutil.rmtree(first)
            (folder / "moved").rename(first)
        else:
            shutil.rmtree(first)
            return


def failure(folder: Path, dockerfile: str = "Dockerfile", most: int | None = None) -> str:
    """Return why a context cannot be packed."""
    with pytest.raises(ObtainFailed) as caught:
        for _ in BuildContext(folder, dockerfile).pack(Abort(), most):
            pass
    assert "password" not in str(caught.value)
    return str(caught.value)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return the contents of the files of a context."""
    packed = b"".join(BuildContext(folder, "Dockerfile").pack(Abort()))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {entry.name: file.read() if (file := tar.extractfile(entry)) else None for entry in tar if entry.isreg()}


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
@pytest.mark.parametrize("target", ["/dev/zero", "/dev/stdin", "../secret", "/etc/passwd"])
def test_an_ignore_file_that_links_out_of_the_folder_is_not_read(folder: Path, name: str, target: str) -> None:
    (folder / name).symlink_to(target)
    assert failure(folder) == f"cannot read {folder / name}: it is a symbolic link out of the folder"


def test_an_ignore_file_can_link_to_another_file_of_the_folder(folder: Path) -> None:
    (folder / ".gitignore").write_text("*.tmp\n")
    (folder / ".dockerignore").symlink_to(".gitignore")
    (folder / "x.tmp").touch()
    assert sorted(BuildContext(folder, "Dockerfile").names()) == [".dockerignore", ".gitignore", "Dockerfile"]


def test_an_ignore_file_that_is_not_regular_or_too_large_is_not_read(folder: Path) -> None:
    os.mkfifo(folder / ".dockerignore")
    assert failure(folder).endswith("/.dockerignore: it is not a regular file")
    (folder / ".dockerignore").unlink()
    with (folder / ".dockerignore").open("wb") as file:
        file.truncate(1 << 40)
    assert failure(folder).endswith(f"/.dockerignore: it is larger than {LARGEST_FILE} bytes")


def test_an_ignore_file_of_a_dockerfile_elsewhere_stays_in_its_folder(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "web"
    other.write_text("FROM other\n")
    Path(f"{other}.dockerignore").symlink_to(folder.parent / "secret")
    assert failure(folder, str(other)) == f"cannot read {other}.dockerignore: it is a symbolic link out of the folder"


@pytest.mark.parametrize("target", ["/dev/zero", "../secret"])
def test_a_dockerfile_that_links_out_of_the_folder_is_not_read(folder: Path, target: str) -> None:
    (folder / "web").symlink_to(target)
    with pytest.raises(OSError, match="it is a symbolic link out of the folder"):
        BuildContext(folder, "web").read_dockerfile()


def test_in_a_repository_both_can_link_to_other_files_of_it_only(folder: Path) -> None:
    repository = folder.parent
    (repository / "common").mkdir()
    (repository / "common" / "Dockerfile").write_text("FROM common\n")
    (repository / "common" / "ignored").write_text("*.tmp\n")
    (folder / "Dockerfile").unlink()
    (folder / "Dockerfile").symlink_to("../common/Dockerfile")
    (folder / ".dockerignore").symlink_to("../common/ignored")
    context = BuildContext(folder, "Dockerfile", repository)
    assert context.read_dockerfile() == b"FROM common\n"
    assert context.read_ignored().verdict("x.tmp").is_ignored
    with pytest.raises(OSError, match="it is a symbolic link out of the folder"):
        BuildContext(folder, "Dockerfile", repository / "app").read_dockerfile()


def replaced_before(monkeypatch: pytest.MonkeyPatch, replace: Callable[[], None]) -> None:
    """Replace a file after the folder was read and before the file is opened."""

    def replace_then_open(folder: int, name: str) -> tuple[int, os.stat_result]:
        if name == "victim":
            replace()
        return open_entry(folder, name)

    monkeypatch.setattr(build_context, "open_entry", replace_then_open)


def test_a_file_that_is_replaced_by_a_link_is_not_sent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = folder / "victim"
    victim.write_text("harmless")

    def replace() -> None:
        victim.unlink()
        victim.symlink_to(folder.parent / "secret")

    replaced_before(monkeypatch, replace)
    assert '"victim": it is not a regular file' in failure(folder)


def test_the_file_that_was_opened_is_sent_with_its_own_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = folder / "victim"
    victim.write_text("short")

    def replace() -> None:
        victim.unlink()
        victim.write_text("very much longer")

    replaced_before(monkeypatch, replace)
    assert contents(folder)["victim"] == b"very much longer"


def test_a_folder_that_is_replaced_by_a_link_is_not_followed(folder: Path) -> None:
    (folder / "sub").mkdir()
    found = walk(folder, Ignored())
    names = [next(found).path, next(found).path]
    assert sorted(names) == ["Dockerfile", "sub"]
    (folder / "sub").rmdir()
    (folder / "sub").symlink_to("..")
    with pytest.raises(NotADirectoryError) as caught:
        next(found)
    assert caught.value.filename == "sub"


def test_a_folder_that_is_moved_away_ends_the_walk(folder: Path) -> None:
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "end").touch()
    (folder / "a" / "c").mkdir()
    found = walk(folder, Ignored())
    assert any(one.path == "a/b/end" for one in found)
    (folder / "a" / "b").rename(folder.parent / "b")
    with pytest.raises(OSError, match="a folder was moved while the build context was read"):
        list(found)


def test_deep_folders_are_sent_with_few_descriptors(deep: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    most = 0
    names = []
    for name in BuildContext(deep, "Dockerfile").names():
        names.append(name)
        most = max(most, len(os.listdir("/proc/self/fd")) - before)
    assert "d/" * 1100 + "end" in names
    assert len(names) == 1102
    assert most <= 3
    assert len(os.listdir("/proc/self/fd")) == before
    assert "d/" * 1100 + "end" in contents(deep)


def test_deep_folders_are_matched_with_patterns(deep: Path) -> None:
    (deep / ".dockerignore").write_text("**/**/**/end\n!d/d\n")
    names = set(BuildContext(deep, "Dockerfile").names())
    assert "d/" * 1100 + "end" not in names
    assert "d/" * 1099 + "d" in names


def test_a_path_that_no_system_call_takes_is_reported(folder: Path) -> None:
    make_deep(folder, 20, "d" * 250)
    try:
        message = failure(folder)
        assert "a path is longer than 4095 bytes" in message
        assert len(message) < 1000
        (folder / ".dockerignore").write_text("d*\n")
        assert sorted(contents(folder)) == [".dockerignore", "Dockerfile"]
    finally:
        remove_deep(folder, "d" * 250)


def peak(folder: Path) -> int:
    """Return the bytes of memory that packing a folder needs at most."""
    tracemalloc.start()
    for _ in BuildContext(folder, "Dockerfile").pack(Abort()):
        pass
    _, found = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return found


def test_many_files_need_no_more_memory_than_few(folder: Path) -> None:
    for number in range(1000):
        (folder / f"file-{number}").touch()
    few = peak(folder)
    for number in range(10_000):
        (folder / f"more-{number}").touch()
    assert peak(folder) < few + 100_000


def test_of_many_folders_only_the_names_are_kept(folder: Path) -> None:
    for number in range(1000):
        (folder / f"folder-{number}").mkdir()
    few = peak(folder)
    for number in range(2000):
        (folder / f"more-{number}").mkdir()
    assert peak(folder) < few + 2000 * 40


def test_an_abort_ends_the_walk_also_where_all_files_are_ignored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".dockerignore").write_text("*\n")
    for number in range(100):
        (folder / f"file-{number}").touch()
    abort = Abort()
    seen = []
    decide = Ignored.verdict_inside

    def decide_then_abort(ignored: Ignored, above: Verdict, name: str) -> Verdict:
        if name.startswith("file-"):
            seen.append(name)
            abort.request()
        return decide(ignored, above, name)

    monkeypatch.setattr(Ignored, "verdict_inside", decide_then_abort)
    with pytest.raises(EngineUnreachable):
        list(BuildContext(folder, "Dockerfile").pack(abort))
    assert len(seen) == 1


def test_hard_links_beyond_the_limit_are_sent_as_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        (folder / name).write_text(name)
        os.link(folder / name, folder / f"{name}-again")
    monkeypatch.setattr(build_context, "_MOST_LINKS", 1)
    found = contents(folder)
    assert len(found) == 6
    assert {found[name] for name in found if name[0] in "abc"} <= {b"a", b"b", b"c"}


def test_a_huge_sparse_file_is_refused_before_it_is_sent(folder: Path) -> None:
    with (folder / "hu\x1bge").open("wb") as file:
        file.truncate(1 << 40)
    message = failure(folder, most=10 << 30)
    assert f"the build context {folder} is larger than 10GiB (--build-context-limit), at the file" in message
    assert r'"hu\x1bge" of 1TiB' in message


def test_all_files_together_count_for_the_limit(folder: Path) -> None:
    for number in range(4):
        (folder / f"file-{number}").write_bytes(bytes(1000))
    assert "larger than 3KiB" in failure(folder, most=3072)
    assert sum(len(piece) for piece in BuildContext(folder, "Dockerfile").pack(Abort(), 4013)) > 4013


def test_special_files_are_not_opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "pipe")
    opened = []

    def noted(folder: int, name: str) -> tuple[int, os.stat_result]:
        opened.append(name)
        return open_entry(folder, name)

    monkeypatch.setattr(build_context, "open_entry", noted)
    assert sorted(contents(folder)) == ["Dockerfile"]
    assert opened == ["Dockerfile"]


def test_names_with_a_newline_or_beyond_utf8_are_walked(folder: Path) -> None:
    names = ["a\nb", os.fsdecode(b"\xff\xfe"), "\x1b[2J"]
    for name in names:
        (folder / name).mkdir()
        (folder / name / "file").touch()
    assert {f"{name}/file" for name in names} <= set(contents(folder))


def test_no_path_is_longer_than_the_limit_of_the_system() -> None:
    assert os.pathconf("/", "PC_PATH_MAX") - 1 == context_walk.LONGEST_PATH
