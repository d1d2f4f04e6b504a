"""A host port that was picked for an app is kept over a restart of hanoverd."""

from __future__ import annotations

import os
import socket

from hanoverd.network.host_ports import hold_ports, release_ports
from hanoverd.network.rules import Route, filled, host_ports
from hanoverd.spec.publish import Publish

#: An address that no other process uses: tests run in several at once.
LOOPBACK = f"127.79.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"

ANY = Publish(LOOPBACK, None, 80)


def test_the_rules_say_which_it_was() -> None:
    routes = [
        Route(None, 32771, "172.17.0.2", 80, 40000),
        Route(None, 32772, "172.17.0.2", 80, 40000),
        Route(LOOPBACK, 32773, "172.17.0.2", 443, 40001),
    ]
    saved = filled("web", "web-0", routes) + filled("other", "other-0", [Route(None, 1, "172.17.0.3", 80, None)])
    assert host_ports("web", saved) == {80: [32771, 32772], 443: [32773]}
    assert host_ports("nothing", saved) == {}


def test_it_is_chosen_again() -> None:
    used = free()
    [held] = hold_ports([ANY], {80: [used]})
    assert held.host_port == used
    release_ports([held])


def test_one_for_another_port_is_not() -> None:
    used = free()
    [held] = hold_ports([ANY], {443: [used]})
    assert held.host_port != used
    release_ports([held])


def test_two_that_were_picked_are_both_chosen_again() -> None:
    used = [free(), free()]
    held = hold_ports([ANY, ANY], {80: used})
    assert [one.host_port for one in held] == used
    release_ports(held)


def test_where_another_program_has_it_a_free_one_is_chosen() -> None:
    used = free()
    with socket.create_server((LOOPBACK, used)):
        [held] = hold_ports([ANY], {80: [used]})
    assert held.host_port != used
    release_ports([held])


def test_one_outside_of_the_published_range_is_not_chosen() -> None:
    first, outside = free(), free()
    [held] = hold_ports([Publish(LOOPBACK, range(first, first + 1), 80)], {80: [outside]})
    assert held.host_port == first
    release_ports([held])


def free() -> int:
    """A port that is not in use just now."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
