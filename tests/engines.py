"""Other versions of the Docker engine, for the tests: Debian's packages, unpacked into a folder and not installed.

usage: python3 -m tests.engines VERSION

Prints a folder for the start of PATH that has dockerd and containerd of this version, for example ``28``: the folder of
this machine's own engine if that has the version. The packages come from this machine's Debian mirror; apt verifies the
mirror's signatures and the packages' checksums. A folder that is there already is used as it is. Runs as root on Debian,
with the standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

#: Where the engines are kept: remove the folder to fetch them again.
CACHE = Path(__file__).parents[1] / ".engines"

#: The first part of a version, and the release of Debian that has it.
SUITES = {"26": "trixie", "28": "unstable"}

#: The engine's programs. The machine's own runc works with all versions, and a newer one needs a newer C library.
_PACKAGES = ("docker.io", "containerd")
_PROGRAMS = ("dockerd", "docker-proxy", "containerd", "containerd-shim-*")

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class NoEngine(Exception):
    """An engine of this version cannot be had."""


def folder_of(version: str) -> Path:
    """Return the folder with an engine of this version: this machine's own, or one that is fetched if it is not there.

    Raises ``NoEngine``.
    """
    own = shutil.which("dockerd")
    if own is not None and own_version() == version:
        return Path(own).parent
    folder = CACHE / f"docker-{version}"
    if folder.exists():
        return folder
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fetching-", dir=CACHE) as temporary:
        programs = Path(temporary, "programs")
        # Other users may run the programs, too.
        programs.mkdir(mode=0o755)
        _fetch(version, Path(temporary), programs)
        try:
            programs.rename(folder)
        except OSError:
            # Another run was faster.
            if not folder.exists():
                raise
    return folder


def own_version() -> str:
    """Return the first part of the version of this machine's engine, "" without one."""
    try:
        return major(_run("dockerd", "--version"))
    except NoEngine:
        return ""


def major(printed: str) -> str:
    """Return the first part of the version that ``dockerd --version`` prints."""
    found = re.search(r"version (\d+)\.", printed)
    return "" if found is None else found[1]


def mirrors(targets: str, codename: str) -> list[str]:
    """Return the mirrors of Debian in ``apt-get indextargets``: they have ``main`` of the release ``codename``."""
    lines = [line.split() for line in targets.splitlines()]
    return list(dict.fromkeys(words[2] for words in lines if words[:2] == [codename, "main"]))


def _fetch(version: str, temporary: Path, programs: Path) -> None:
    suite = SUITES.get(version)
    if suite is None:
        raise NoEngine(
            f"this machine's engine has version {own_version() or '(none)'}, and tests/engines.py only knows where to "
            f"fetch {', '.join(SUITES)}"
        )
    errors = []
    found = mirrors(_run("apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)"), _codename())
    for mirror in found:
        try:
            _unpack(_download(mirror, suite, temporary), temporary)
            break
        except NoEngine as error:
            errors.append(str(error))
    else:
        raise NoEngine("\n".join(errors) or "the sources of apt name no mirror of Debian")
    for pattern in _PROGRAMS:
        for program in temporary.glob(f"unpacked/usr/*bin/{pattern}"):
            shutil.move(program, programs)
    printed = _run(str(programs / "dockerd"), "--version")
    if major(printed) != version:
        raise NoEngine(f"Debian {suite} no longer has Docker {version}: {printed.strip()}; change SUITES")


def _download(mirror: str, suite: str, temporary: Path) -> list[Path]:
    """Download the packages, with lists of packages and settings that are not those of this machine."""
    apt = temporary / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    for name in ("sources", "preferences", "state/lists/partial", "cache/archives/partial", "packages"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    source = f"Types: deb\nURIs: {mirror}\nSuites: {suite}\nComponents: main\nSigned-By: {_KEYRING}\n"
    (apt / "sources" / "engine.sources").write_text(source)
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": str(apt / "sources"),
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": str(apt / "preferences"),
        "Dir::State": str(apt / "state"),
        "Dir::State::status": str(apt / "status"),
        "Dir::Cache": str(apt / "cache"),
        "Acquire::Languages": "none",
        # Another user may not enter the folder.
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    # Without "any", a failed update is only a warning.
    _run(*command, "--error-on=any", "update")
    _run(*command, "download", *_PACKAGES, cwd=apt / "packages")
    return list((apt / "packages").iterdir())


def _unpack(packages: Sequence[Path], temporary: Path) -> None:
    for package in packages:
        _run("dpkg-deb", "--extract", str(package), str(temporary / "unpacked"))


def _codename() -> str:
    found = re.search(r"^VERSION_CODENAME=(\w+)$", Path("/etc/os-release").read_text(), re.MULTILINE)
    return "" if found is None else found[1]


def _run(*argv: str, cwd: Path | None = None) -> str:
    try:
        done = subprocess.run(
            argv, cwd=cwd, env={**os.environ, "LC_ALL": "C"}, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise NoEngine(f"{argv[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise NoEngine(f"{argv[0]} {argv[-1]}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def main(arguments: Sequence[str]) -> int:
    """Print the folder of an engine."""
    [version] = arguments
    try:
        print(folder_of(version))
    except NoEngine as error:
        print(
            f"no Docker {version} for the tests: {error}\n"
            "Check the network and the sources of apt, or run the tests on this machine's own engine, without --engine.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
