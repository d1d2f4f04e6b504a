"""The packages that hanoverd needs: no admitted version has a known vulnerability, and the lock files fit setup.py."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

PROJECT = Path(__file__).parents[2]

#: The first version of each package without a known vulnerability, and the latest one that it fixed. ``pip-audit -r
#: requirements-all.lock`` finds new ones: see CONTRIBUTING.rst.
FIXED = {
    "autobahn": ("20.12.3", "CVE-2020-35678"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("50.0.0", "CVE-2026-69247"),
    "idna": ("3.15", "CVE-2026-45409"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pyopenssl": ("26.0.0", "CVE-2026-27459"),
    "pytest": ("9.0.3", "CVE-2025-71176"),
    "requests": ("2.33.0", "CVE-2026-25645"),
    "setuptools": ("83.0.0", "CVE-2026-59890"),
    "treq": ("22.1.0", "CVE-2022-23607"),
    "twisted": ("26.4.0", "CVE-2026-42304"),
    "urllib3": ("2.7.0", "CVE-2026-44432"),
    "werkzeug": ("3.1.6", "GHSA-29vq-49wr-vm6x"),
    "wheel": ("0.46.2", "CVE-2026-24049"),
}

LOCKS = ("requirements.lock", "requirements-all.lock")


def strings(node: ast.AST) -> list[str]:
    """Return the texts below a node."""
    return [found.value for found in ast.walk(node) if isinstance(found, ast.Constant) and isinstance(found.value, str)]


def setup_arguments() -> dict[str, ast.AST]:
    """Return the arguments of ``setup()``, and the assignments before it."""
    found: dict[str, ast.AST] = {}
    for node in ast.walk(ast.parse((PROJECT / "setup.py").read_text())):
        if isinstance(node, ast.keyword) and node.arg:
            found[node.arg] = node.value
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
    return found


def build_requirements() -> list[Requirement]:
    """Return what builds hanoverd."""
    listed = re.search(r"^requires = \[(.*)\]$", (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert listed is not None
    return [Requirement(text) for text in re.findall('"(.+?)"', listed[1])]


def required(*, extras: bool) -> list[Requirement]:
    """Return what an installation needs."""
    arguments = setup_arguments()
    texts = strings(arguments["install_requires"])
    if extras:
        texts += [text for text in strings(arguments["EXTRAS"]) if ">" in text]
    return [Requirement(text) for text in texts] + build_requirements()


def everything() -> list[Requirement]:
    """Return what an installation, a build, or a test needs."""
    arguments = setup_arguments()
    tests = [text for name in ("UNIT_TEST", "extras_require") for text in strings(arguments[name])]
    return required(extras=True) + [Requirement(text) for text in tests if ">" in text]


def floor(requirement: Requirement) -> Version:
    """Return the oldest version that is admitted."""
    [specifier] = requirement.specifier
    assert specifier.operator == ">="
    return Version(specifier.version)


def locked(name: str) -> dict[str, list[Any]]:
    """Return the versions in a lock file by package; each with the number of its hashes."""
    found: dict[str, list[Any]] = {}
    for entry in (PROJECT / name).read_text().replace("\\\n", " ").splitlines():
        if entry.startswith("#"):
            continue
        requirement, *hashes = entry.split(" --hash=")
        parsed = Requirement(requirement)
        [specifier] = parsed.specifier
        assert specifier.operator == "=="
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", found.strip()) for found in hashes)
        found.setdefault(canonicalize_name(parsed.name), []).append((Version(specifier.version), len(hashes)))
    return found


@pytest.mark.parametrize("requirement", everything(), ids=str)
def test_no_version_with_a_known_vulnerability_is_admitted(requirement: Requirement) -> None:
    fixed, advisory = FIXED.get(canonicalize_name(requirement.name), ("0", ""))
    assert floor(requirement) >= Version(fixed), advisory


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_all_that_setup_py_asks_for_with_hashes(name: str) -> None:
    versions = locked(name)
    for requirement in required(extras=name == "requirements-all.lock"):
        found = versions.get(canonicalize_name(requirement.name), [])
        assert found, f"{requirement} is not in {name}: run scripts/lock"
        for version, _ in found:
            assert version in requirement.specifier, f"{requirement}, not {version}: run scripts/lock"
    assert all(hashes for found in versions.values() for _, hashes in found)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_no_version_with_a_known_vulnerability(name: str) -> None:
    for package, found in locked(name).items():
        fixed, advisory = FIXED.get(package, ("0", ""))
        assert all(version >= Version(fixed) for version, _ in found), (package, advisory)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_index(name: str) -> None:
    assert not re.search("://|--index|--find-links|--trusted-host", (PROJECT / name).read_text())
