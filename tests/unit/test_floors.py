"""Imports go downwards only, and each third-party library is imported in one module."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "hanoverd"

#: From the roof to the ground.  A module imports from the floors below its own; in a package, from its neighbours too.
FLOORS = (
    ("tap",),
    ("cli",),
    ("daemon",),
    ("web",),
    ("api", "builder"),
    ("daemons",),
    ("hookbot",),
    ("deploy",),
    ("network", "notify", "history"),
    ("versions",),
    ("images",),
    ("docker",),
    ("runtime",),
    ("logs",),
    ("spec",),
    ("text",),
    ("",),
)

#: In ``deploy``, what decides is below what does.
PURE_DEPLOY = (
    "deploy/transitions.py",
    "deploy/daemon_transitions.py",
    "deploy/version_transitions.py",
    "deploy/decisions.py",
    "deploy/step.py",
    "deploy/events.py",
    "deploy/effects.py",
    "deploy/state.py",
    "deploy/requests.py",
    "deploy/targets.py",
    "deploy/rollback.py",
)

#: What talks to the world talks to it in one place.
ONLY_IN = {
    "docker": {"docker/blocking_engine.py"},
    "requests": {"docker/blocking_engine.py"},
    "urllib3": {"docker/blocking_engine.py"},
    "treq": {"versions/health.py"},
    "OpenSSL": {"versions/unverified_tls.py"},
    "autobahn": {"hookbot/websocket.py"},
    "prometheus_client": {"api/metrics.py", "web/metrics.py"},
    "jinja2": {"web/pages.py"},
    "markupsafe": {"web/pages.py"},
    "boto3": {"images/downloads.py"},
    "botocore": {"images/downloads.py"},
    "zstandard": {"images/compression.py"},
    "subprocess": {"network/blocking_firewall.py"},
    "sqlite3": {"history/database.py"},
}

#: Plain Python, which is tested without a reactor.
PURE = (
    "text/",
    "spec/",
    "network/chains.py",
    "network/iptables.py",
    "network/rules.py",
    "docker/api.py",
    "docker/config.py",
    "docker/dockerfile.py",
    "docker/dockerignore.py",
    "docker/event_stream.py",
    "docker/failures.py",
    "docker/inspection.py",
    "docker/quirks.py",
    "images/quirks.py",
    "hookbot/protocol.py",
    "hookbot/tokens.py",
    "hookbot/github.py",
    "history/record.py",
    "web/ages.py",
    "web/handovers.py",
    "web/query.py",
    "web/state.py",
    "web/timeline.py",
    "web/views.py",
    "daemons/answers.py",
    *PURE_DEPLOY,
)

MODULES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))


def imports(module: str) -> Iterator[str]:
    """The modules that a module imports, also for types only."""
    for node in ast.walk(ast.parse((PACKAGE / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def room(module: str) -> str:
    """The package or module right below hanoverd: "edges" for "hanoverd.docker.engine"; "" for hanoverd itself."""
    return [*module.split("."), ""][1]


def floor(name: str) -> int:
    """Counted from the roof."""
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_downwards(module: str) -> None:
    own = "" if module == "__init__.py" else module.removesuffix(".py").partition("/")[0]
    for imported in imports(module):
        if imported.partition(".")[0] == "hanoverd" and not (room(imported) == own and "/" in module):
            assert floor(room(imported)) > floor(own), f"{module} imports {imported}"


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_touched_in_one_module(module: str) -> None:
    for imported in imports(module):
        allowed = ONLY_IN.get(imported.partition(".")[0])
        assert allowed is None or module in allowed, f"{module} imports {imported}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(PURE)])
def test_the_pure_floors_need_nothing_but_python(module: str) -> None:
    for imported in imports(module):
        assert imported.partition(".")[0] in {*sys.stdlib_module_names, "hanoverd"}, f"{module} imports {imported}"


@pytest.mark.parametrize("module", PURE_DEPLOY)
def test_what_decides_imports_nothing_that_does(module: str) -> None:
    for imported in imports(module):
        if imported.startswith("hanoverd.deploy."):
            assert f"{imported.removeprefix('hanoverd.').replace('.', '/')}.py" in PURE_DEPLOY
        elif imported.startswith("hanoverd.") and imported != "hanoverd.deploy":
            assert room(imported) in ("text", "spec"), f"{module} imports {imported}"


def test_the_global_reactor_is_taken_in_one_place() -> None:
    takers = [name for name in MODULES if "from twisted.internet import reactor" in (PACKAGE / name).read_text()]
    assert takers == ["tap.py"]


def test_help_loads_none_of_the_libraries() -> None:
    code = (
        "import sys; from hanoverd.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(' '.join({'twisted', 'docker', 'treq', 'requests', 'autobahn', 'boto3'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage:")
