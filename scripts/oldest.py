"""Prints requirements for pip: every dependency, also of the extras, in the oldest version that setup.py admits."""

import re
from pathlib import Path

setup = (Path(__file__).parents[1] / "setup.py").read_text()
extras = setup.partition("EXTRAS = {\n")[2].partition("\n}")[0]
required = setup.partition("install_requires=[\n")[2].partition("\n    ]")[0]
for line in [*extras.splitlines(), *required.splitlines()]:
    requirement = re.fullmatch(r'(?:\s*"\w+": \[|\s*)"([\w.-]+)(?:\[\w+\])?>=([\d.]+)"\]?,', line)
    if requirement is None:
        raise SystemExit(f"setup.py: no oldest version in {line.strip()}")
    print("{}=={}".format(*requirement.groups()))
# The last with which TLS works in Twisted up to 25.5: later ones let nothing change a context that is in use.
print("pyOpenSSL==25.0.0")
