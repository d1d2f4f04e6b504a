"""Reading the engine's descriptions of containers and images."""

from __future__ import annotations

import time

from hanoverd.docker.inspection import exposed_tcp_ports, proxy_ports_of
from hanoverd.spec.ports import LOOPBACK, MOST_EXPOSED, ContainerPort, HostPort

#: What an image can expose at most.
ALL: dict[str, object] = {
    f"{number}/{protocol}": {} for number in range(1, 65536) for protocol in ("sctp", "tcp", "udp")
}


def test_the_tcp_ports_of_an_image_are_sorted_and_other_text_is_left_out() -> None:
    exposed: dict[str, object] = {text: {} for text in ("8080/tcp", "80", "53/udp", "", "x/tcp", "99999", "443/TCP")}
    assert exposed_tcp_ports({"ExposedPorts": exposed}) == (ContainerPort(80), ContainerPort(443), ContainerPort(8080))
    assert exposed_tcp_ports({"ExposedPorts": None}) == exposed_tcp_ports({}) == ()


def test_an_image_that_exposes_all_ports_costs_little() -> None:
    begun = time.process_time()
    assert len(exposed_tcp_ports({"ExposedPorts": ALL})) == MOST_EXPOSED + 1
    found = {"NetworkSettings": {"Ports": {**dict.fromkeys(ALL), "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4"}]}}}
    assert proxy_ports_of(found) == {ContainerPort(80): HostPort(LOOPBACK, 4)}
    assert time.process_time() - begun < 0.15
