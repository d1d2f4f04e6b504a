"""Prints requirements for pip: every dependency, also of the extras, in the oldest version that setup.py admits."""

import re
from pathlib import Path

setup = (Path(__file__).parents[1] / "setup.py").read_text()
extras = setup.partition("EXTRAS = {\n")[2].partition("\n}")[0]
required = setup.partition("install_requires=[\n")[2].partition("\n    ]")[0]
lines = [line for line in (*extras.splitlines(), *required.splitlines()) if not line.lstrip().startswith("#")]
for line in lines:
    requirement = re.fullmatch(r'(?:\s*"\w+": \[|\s*)"([\w.-]+)(?:\[\w+\])?>=([\d.]+)"\]?,', line)
    if requirement is None:
        raise SystemExit(f"setup.py: no oldest version in {line.strip()}")
    print("{}=={}".format(*requirement.groups()))
