"""Why a version failed."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock

from hanoverd.spec.container import ContainerSpec, Image, Recipe
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import ContainerPort
from hanoverd.text.lines import Tail
from hanoverd.versions.failures import not_ready_error
from hanoverd.versions.health import Health
from hanoverd.versions.readiness import Readiness
from hanoverd.versions.version import Container, Created, Running

REACTOR: Any = Clock()


def error_of(exposed: int, printed: str) -> str:
    """The error of a version that is not ready at port 80, of an image that exposes others."""
    image = Image("sha256:1", ImageName("web"), tuple(ContainerPort(8000 + number) for number in range(exposed)))
    created = Created(Container(1, "web-1"), Recipe(image, ContainerSpec()), (ContainerPort(80),))
    tail = Tail()
    for line in printed.split("\n"):
        tail.add(line)
    monitor: Any = None
    running = Running(created, "172.17.0.2", ("172.17.0.2",), {}, monitor)
    return str(
        not_ready_error(
            running, Readiness(Health(REACTOR, "/"), REACTOR, running.address, [80]), 5.0, tail if printed else None
        )
    )


def test_it_names_the_ports_that_the_image_exposes_and_the_last_output() -> None:
    assert error_of(2, "one\ntwo") == (
        "not ready within the status timeout of 5s, after 0 probes; the last at 172.17.0.2: port 80: not probed yet "
        "(the image exposes 8000, 8001); its last 2 lines:\n    one\n    two"
    )


def test_it_is_short_whatever_the_image_exposes_and_the_app_prints() -> None:
    error = error_of(65, "x" * 1_000_000)
    assert "(the image exposes 8000, 8001, 8002, 8003, 8004, 8005, 8006, 8007, 8008, 8009, …)" in error
    assert len(error) < 2000


def test_it_does_not_say_that_nothing_was_printed_where_that_is_unknown() -> None:
    assert error_of(0, "").endswith("; what it printed is unknown: its log driver keeps no log that can be read")
