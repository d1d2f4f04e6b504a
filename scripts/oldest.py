"""Prints requirements for pip: every dependency, also of the extras, in the oldest version that setup.py admits."""

import re
from pathlib import Path

setup = (Path(__file__).parents[1] / "setup.py").read_text()
extras = setup.partition("EXTRAS = {\n")[2].partition("\n}")[0]
required = setup.partition("install_requires=[\n")[2].partition("\n    ]")[0]
lines = [line for line in (*extras.splitlines(), *required.splitlines()) if not line.lstrip().startswith("#")]
found = set()
for line in lines:
    # A list in one line, or one of its lines; an extra's name comes before it.
    listed = re.sub(r'^\s*"\w+": ', "", line).strip(" [],")
    for text in filter(None, map(str.strip, listed.split(","))):
        requirement = re.fullmatch(r'"([\w.-]+)(?:\[\w+\])?>=([\d.]+)"', text)
        if requirement is None:
            raise SystemExit(f"setup.py: no oldest version in {line.strip()}")
        found.add("{}=={}".format(*requirement.groups()))
print("\n".join(sorted(found, key=str.lower)))
