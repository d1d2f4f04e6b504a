"""The files of the page are there once hanoverd is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]


def test_an_installed_hanoverd_has_the_templates_and_the_files_of_the_page(tmp_path: Path) -> None:
    # What a wheel has, without the wheel.
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path / "lib")]
    environment = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    subprocess.run([*command, "egg_info", "--egg-base", str(tmp_path)], cwd=PROJECT, env=environment, check=True)
    for folder in ("templates", "static"):
        found = {path.name for path in (tmp_path / "lib" / "hanoverd" / "web" / folder).iterdir()}
        assert found == {path.name for path in (PROJECT / "hanoverd" / "web" / folder).iterdir()}
        assert found
