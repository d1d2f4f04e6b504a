"""A plain install, a wheel and an editable install each provide the plugin and the command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from hanoverd import __version__
from tests.integration.asking import ask
from tests.lab.daemon import PROJECT, Daemon
from tests.lab.host import Lab

#: The files of hanoverd, without tests and environments.
SOURCES = (
    *("setup.py", "setup.cfg", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.rst", "CHANGELOG.rst"),
    *("CONTRIBUTING.rst", "SECURITY.rst", "requirements.lock", "requirements-all.lock"),
    *("docs", "systemd", "share", "hanoverd", "twisted"),
)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the sources: builds write beside them."""
    folder = tmp_path / "sources"
    folder.mkdir()
    for name in SOURCES:
        original = PROJECT / name
        if original.is_dir():
            shutil.copytree(original, folder / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
        else:
            shutil.copy(original, folder / name)
    return folder


@pytest.fixture
def bin_folder(tmp_path: Path) -> Path:
    """The programs of a fresh environment with hanoverd's dependencies but without hanoverd."""
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=True)
    library = next((folder / "lib").glob("python*/site-packages"))
    ours = Path(sysconfig.get_path("purelib"))
    # The version of setuptools that comes with Python may be older than the one that hanoverd needs.
    for entry in [*library.glob("setuptools*"), *library.glob("_distutils_hack"), *library.glob("pkg_resources")]:
        shutil.rmtree(entry)
    for entry in ours.iterdir():
        if "hanoverd" not in entry.name and not (library / entry.name).exists():
            (library / entry.name).symlink_to(entry)
    # Twisted's folder of plugins is written to, and must be this environment's own.
    (library / "twisted").unlink()
    shutil.copytree(ours / "twisted", library / "twisted", ignore=shutil.ignore_patterns("dropin.cache", "test"))
    return folder / "bin"


def run(*command: object) -> str:
    """Run a command that must succeed, outside the sources; return its standard output."""
    done = subprocess.run([str(word) for word in command], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def installing(bin_folder: Path) -> list[object]:
    """Return the command that installs a package whose dependencies are installed."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    return [bin_folder / "python", "-m", "pip", "install", *options]


def test_another_package_can_add_a_source(
    lab: Lab, app_folder: Path, sources: Path, bin_folder: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "source-plugin"
    shutil.copytree(PROJECT / "example" / "source-plugin", plugin)
    install = installing(bin_folder)
    for package in (sources, plugin):
        run(*install, package)
    listed = "from hanoverd.images.kinds import source_kinds; print(*sorted(source_kinds()))"
    kinds = ["docker-archive", "folder", "git", "greeting", "image"]
    assert run(bin_folder / "python", "-c", listed).split() == kinds
    program = ["env", "PYTHONPATH=", str(bin_folder / "hanoverd")]
    with Daemon(lab, ["-p", "8080:80", "--name=base"], app_folder) as hanoverd:
        hanoverd.wait_live("base-0")
    with Daemon(lab, ["-p", "8080:80", "--name=met", "greeting:hanoverd/base/hello"], "/", program=program) as hanoverd:
        hanoverd.wait_event("obtaining", version="met-0")
        hanoverd.wait_live("met-0")
        assert ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[1] == "hello"
    refused = lab.in_host(["env", f"DOCKER_HOST={lab.docker_host}", str(bin_folder / "hanoverd"), "greeting:nothing"])
    done = subprocess.run(refused, cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, "use greeting:BASE/WORDS" in done.stderr) == (1, True)


@pytest.mark.parametrize("way", ["plain", "wheel", "editable"])
def test_an_install_provides_the_plugin_and_the_command(
    way: str, sources: Path, bin_folder: Path, tmp_path: Path
) -> None:
    install = installing(bin_folder)
    if way == "plain":
        run(*install, sources)
    elif way == "wheel":
        command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
        run(bin_folder / "python", "-m", "pip", *command, sources)
        [wheel] = tmp_path.glob("hanoverd-*.whl")
        run(*install, wheel)
    else:
        run(*install, "--editable", sources)
    assert run(bin_folder / "hanoverd", "--version") == f"hanoverd {__version__}\n"
    # What is no program: the description of the control API, and what the page needs.
    listed = (
        "import hanoverd, pathlib; folder = pathlib.Path(hanoverd.__file__).parent; "
        "print(*sorted(str(one.relative_to(folder)) for one in folder.rglob('*') "
        "if one.is_file() and one.suffix not in ('.py', '.pyc')))"
    )
    others = [one for one in (PROJECT / "hanoverd").rglob("*") if one.is_file() and one.suffix not in (".py", ".pyc")]
    expected = sorted(str(one.relative_to(PROJECT / "hanoverd")) for one in others)
    assert "api/openapi.json" in expected
    assert run(bin_folder / "python", "-c", listed).split() == expected
    program = [bin_folder / "python", Path(sys.executable).with_name("twistd")]
    assert "    hanoverd " in run(*program, "--help")
    assert run(*program, "hanoverd", "--help") == run(bin_folder / "hanoverd", "--help")


def test_the_source_distribution_has_the_documentation_and_the_license(sources: Path, tmp_path: Path) -> None:
    command = [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [archive] = tmp_path.glob("hanoverd-*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    pages = {f"docs/{page.name}" for page in (PROJECT / "docs").glob("*.rst")}
    units = {f"systemd/{unit.name}" for unit in (PROJECT / "systemd").iterdir()}
    texts = {"LICENSE", "README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst", "SECURITY.rst"}
    assert {*texts, "requirements.lock", "requirements-all.lock", *pages, *units} <= names
    assert "twisted/plugins/hanoverd_plugin.py" in names


def test_the_documented_installation_takes_exactly_what_is_locked(sources: Path, tmp_path: Path) -> None:
    commands = re.findall(r"/opt/hanoverd/bin/(pip install .*)", (PROJECT / "README.rst").read_text())
    assert [command.split()[2] for command in commands] == ["--require-hashes", "--no-deps"]
    folder = tmp_path / "fresh"
    venv.create(folder, with_pip=True)
    for command in commands:
        pip = [str(folder / "bin" / "python"), "-m", *command.split(), "--quiet"]
        done = subprocess.run(pip, cwd=sources, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    run(folder / "bin" / "python", "-m", "pip", "check")
    assert run(folder / "bin" / "hanoverd", "--version") == f"hanoverd {__version__}\n"
    lock = re.findall(r"^(\S+)==(\S+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    listed = run(folder / "bin" / "python", "-m", "pip", "freeze", "--exclude", "hanoverd").split()
    installed = {(canonicalize_name(name), version) for name, version in (line.split("==") for line in listed)}
    assert installed <= set(lock)
    assert len(installed) > 20


def test_a_package_with_another_content_is_refused(sources: Path, bin_folder: Path) -> None:
    lock = (sources / "requirements.lock").read_text()
    [entry] = re.findall(r"^txaio==.*?(?=^\S)", lock, re.MULTILINE | re.DOTALL)
    (sources / "same.lock").write_text(entry)
    (sources / "changed.lock").write_text(re.sub(r"sha256:\S{8}", "sha256:00000000", entry))
    options = ["--quiet", "--no-deps", "--ignore-installed", "--dry-run", "--require-hashes", "-r"]
    pip = [str(bin_folder / "python"), "-m", "pip", "install", *options]
    for name, is_accepted in (("same.lock", True), ("changed.lock", False)):
        done = subprocess.run([*pip, name], cwd=sources, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is is_accepted, done.stderr
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in done.stderr
