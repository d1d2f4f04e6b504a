"""Prints constraints for pip by which every dependency is installed in the oldest version that setup.py admits."""

import re
from pathlib import Path

setup = (Path(__file__).parents[1] / "setup.py").read_text()
required = setup.partition("install_requires=[")[2].partition("]")[0]
for name, version in re.findall(r'"([\w.-]+)>=([\d.]+)"', required):
    print(f"{name}=={version}")
