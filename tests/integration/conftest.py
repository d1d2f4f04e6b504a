"""The lab for the tests, and the check that each test leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.engines import NoEngine
from tests.lab import evidence
from tests.lab.api import get_json
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import import_base, write_app
from tests.lab.programs import KINDS, use_engine, use_iptables, versions_in_use


class StartDaemon(Protocol):
    """Starts hanoverd on the lab's host."""

    def __call__(
        self,
        *arguments: str,
        cwd: Path | str,
        env: Mapping[str, str] | None = None,
        as_user: Sequence[str] = (),
        log_format: str = "json",
    ) -> Daemon: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select the programs under test."""
    parser.addoption("--engine", metavar="VERSION", help="Docker 20, 26 or 28, by default this machine's own")
    parser.addoption("--iptables", choices=KINDS, help="kind of iptables, by default this machine's own")


def pytest_configure(config: pytest.Config) -> None:
    """Select the programs under test; pytest's other processes inherit this one's environment."""
    if hasattr(config, "workerinput"):
        return
    # Without a path on pytest's command line, this file is read too late for options.
    engine, iptables = config.getoption("--engine", None), config.getoption("--iptables", None)
    try:
        if engine is not None:
            use_engine(engine)
        if iptables is not None:
            use_iptables(iptables)
    except (NoEngine, FileNotFoundError) as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header() -> str:
    """Report the versions of the programs under test."""
    return versions_in_use()


#: The longest tests, the longest first: they start first, so that no process ends long after the others.
LONGEST = (
    "test_hanoverd_recovers_from_each_kind_of_fault",
    "test_hanoverd_survives_hostile_peers",
    "test_short_long_and_very_long_requests_are_all_answered",
    "test_a_trigger_waits_for_a_stopped_engine",
    "test_the_end_of_a_drain_cuts_no_answer_of_a_keep_alive_client",
    "test_an_app_that_gets_the_drain_signal_closes_no_connection_during_a_request",
    "test_no_name_of_an_archive_reaches_the_engine",
    "test_a_handover_restarts_when_a_crashed_engine_is_back",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest tests, each followed by a short one: a process gets its first two tests together."""
    longest = sorted((item for item in items if item.name in LONGEST), key=lambda item: LONGEST.index(item.name))
    others = [item for item in items if item.name not in LONGEST]
    pairs = [one for pair in zip(longest, others, strict=False) for one in pair]
    items[:] = [*pairs, *longest[len(others) :], *others[len(longest) :]]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Forget the evidence of the test before."""
    evidence.forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the evidence beside an error, of the test itself or of the check after it."""
    report = yield
    if report.failed:
        report.sections += evidence.kept()
        if isinstance(lab := getattr(item, "funcargs", {}).get("lab"), Lab):
            report.sections.append(("end of the log of dockerd", lab.engine.log()[-5000:]))
    return report


@pytest.fixture(scope="session")
def lab_of_the_run(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of a test run."""
    lab = Lab()
    lab.start()
    try:
        wanted = request.config.getoption("--engine", None)
        runs = get_json(lab.engine.socket, "/version")["Version"]
        assert wanted is None or runs.startswith(f"{wanted}."), f"the engine is Docker {runs}, not {wanted}"
        import_base(lab)
        yield lab
    finally:
        lab.stop()


@pytest.fixture
def lab(lab_of_the_run: Lab) -> Iterator[Lab]:
    """The lab; the test fails if it leaves containers or rules of hanoverd in it."""
    lab_of_the_run.forget_numbers()
    yield lab_of_the_run
    left = [container["Names"][0] for container in lab_of_the_run.containers()]
    rules = lab_of_the_run.rules()
    clean_up(lab_of_the_run, rules)
    lab_of_the_run.restore_engine_rules()
    assert (left, rules) == ([], []), "the test left containers or rules behind"


@pytest.fixture
def app_folder() -> Iterator[Path]:
    """A folder that builds the app under test, and that any user may read."""
    # Not in pytest's own folder: the next run on this machine would close it to other users.
    with tempfile.TemporaryDirectory(prefix="hanoverd-app-") as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent, "app")
        write_app(folder)
        yield folder


@pytest.fixture
def daemon(lab: Lab) -> StartDaemon:
    """A function that starts hanoverd; use its result as a context."""

    def start(
        *arguments: str,
        cwd: Path | str,
        env: Mapping[str, str] | None = None,
        as_user: Sequence[str] = (),
        log_format: str = "json",
    ) -> Daemon:
        return Daemon(lab, arguments, cwd, env, as_user, log_format=log_format)

    return start


def clean_up(lab: Lab, rules: Sequence[str]) -> None:
    """Remove what a test left, so that the next test does not fail too."""
    for container in lab.containers():
        lab.docker("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    lab.remove_rules(rules)


@pytest.fixture(scope="session")
def capable(lab_of_the_run: Lab) -> dict[str, str]:
    """A PATH with copies of the firewall's programs that have capabilities, so that ordinary users can run them."""
    folder = lab_of_the_run.folder / "capable"
    folder.mkdir()
    for program, capabilities in _CAPABLE.items():
        copy = folder / program
        shutil.copy(os.path.realpath(str(shutil.which(program))), copy)
        subprocess.run(["setcap", capabilities, str(copy)], check=True)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


_CAPABLE = {
    "iptables-save": "cap_net_admin,cap_net_raw=+ep",
    "iptables-restore": "cap_net_admin,cap_net_raw=+ep",
    "ip6tables-save": "cap_net_admin,cap_net_raw=+ep",
    "ip6tables-restore": "cap_net_admin,cap_net_raw=+ep",
    "conntrack": "cap_net_admin=+ep",
}
