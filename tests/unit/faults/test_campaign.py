"""The fault campaign finds everything that is not in order, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.faults.checks import problems

STATUS: Mapping[str, Any] = {
    "state": "live",
    "live": {"version": "faulty-3", "address": "172.17.0.4"},
    "draining": [],
    "paused": False,
    "held": [],
    "kept": [{"number": 2}],
}

RULES = """\
*nat
:HANOVERD-faulty-IN - [0:0]
:HANOVERD-faulty-OUT - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j HANOVERD-faulty-IN
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m addrtype --dst-type LOCAL -j HANOVERD-faulty-OUT
-A HANOVERD-faulty-IN -p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: faulty-3" -j DNAT --to-destination 172.17.0.4:80
-A HANOVERD-faulty-OUT -p tcp -m tcp --dport 8080 -m comment --comment "hanoverd: faulty-3" -j REDIRECT --to-ports 49160
COMMIT
"""


def container(name: str, state: str = "running", address: str = "") -> Mapping[str, Any]:
    networks = {"bridge": {"IPAddress": address}}
    return {"Names": [f"/{name}"], "State": state, "NetworkSettings": {"Networks": networks}}


CONTAINERS = [container("faulty-3", address="172.17.0.4"), container("faulty-2-kept", "exited")]


def test_a_live_version_and_a_kept_one_are_in_order() -> None:
    assert problems(STATUS, RULES, CONTAINERS) == []


@pytest.mark.parametrize("name", ["faulty-2", "renamed", "faulty-2-kept-by-hand"])
def test_a_leftover_container_is_a_problem_whatever_its_name(name: str) -> None:
    assert problems(STATUS, RULES, [*CONTAINERS, container(name)]) == [f"{name} is left over, and running"]


def test_a_kept_container_that_runs_or_is_not_listed_is_a_problem() -> None:
    [container_of_live, _] = CONTAINERS
    assert problems(STATUS, RULES, [container_of_live, container("faulty-2-kept")])
    assert problems({**STATUS, "kept": []}, RULES, CONTAINERS)
    assert problems(STATUS, RULES, [container_of_live])


def test_a_live_version_that_does_not_run_or_is_elsewhere_is_a_problem() -> None:
    assert "faulty-3 does not run" in problems(STATUS, RULES, [container("faulty-2-kept", "exited")])
    assert problems(STATUS, RULES, [container("faulty-3", address="172.17.0.9"), CONTAINERS[1]])


@pytest.mark.parametrize(
    "rules",
    [
        "",
        RULES + RULES,
        RULES + "-A PREROUTING -m addrtype --dst-type LOCAL -j HANOVERD-faulty-OLD\n",
        RULES.replace("faulty-3", "faulty-2"),
        RULES.replace("172.17.0.4", "172.17.0.3"),
        RULES.replace("-A OUTPUT", "-A OUTPUT-OLD"),
    ],
)
def test_rules_that_are_missing_or_double_or_route_elsewhere_are_a_problem(rules: str) -> None:
    assert problems(STATUS, rules, CONTAINERS)


@pytest.mark.parametrize(
    "change", [{"draining": ["faulty-2"]}, {"paused": True}, {"held": ["SIGHUP"]}, {"state": "down"}]
)
def test_an_app_that_still_drains_is_paused_or_down_is_a_problem(change: Mapping[str, object]) -> None:
    assert problems({**STATUS, **change}, RULES, CONTAINERS)
