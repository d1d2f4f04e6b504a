"""Reading the engine's descriptions of containers and images."""

from __future__ import annotations

from typing import Any

from hanoverd.docker.inspection import exposed_tcp_ports, generation_of, names_its_image, proxy_ports_of
from hanoverd.spec.container import APP, ContainerSpec, Image, Recipe, create_body, export_body
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.ports import LOOPBACK, MOST_EXPOSED, ContainerPort, HostPort
from tests.unit.timing import shortest

#: What an image can expose at most.
ALL: dict[str, object] = {
    f"{number}/{protocol}": {} for number in range(1, 65536) for protocol in ("sctp", "tcp", "udp")
}


def test_the_tcp_ports_of_an_image_are_sorted_and_other_text_is_left_out() -> None:
    exposed: dict[str, object] = {text: {} for text in ("8080/tcp", "80", "53/udp", "", "x/tcp", "99999", "443/TCP")}
    assert exposed_tcp_ports({"ExposedPorts": exposed}) == (ContainerPort(80), ContainerPort(443), ContainerPort(8080))
    assert exposed_tcp_ports({"ExposedPorts": None}) == exposed_tcp_ports({}) == ()


def test_an_image_that_exposes_all_ports_costs_little() -> None:
    assert len(exposed_tcp_ports({"ExposedPorts": ALL})) == MOST_EXPOSED + 1
    found = {"NetworkSettings": {"Ports": {**dict.fromkeys(ALL), "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4"}]}}}
    assert proxy_ports_of(found) == {ContainerPort(80): HostPort(LOOPBACK, 4)}
    assert shortest(lambda: (exposed_tcp_ports({"ExposedPorts": ALL}), proxy_ports_of(found))) < 0.15


def test_a_port_for_which_the_engine_binds_none_of_the_host_is_not_published() -> None:
    # As Docker 28.5 reports it on a network with the gateway mode "routed".
    bindings = {"80/tcp": [{"HostIp": "", "HostPort": ""}], "81/tcp": None, "82/tcp": [], "83/tcp": [{"HostPort": "7"}]}
    assert proxy_ports_of({"NetworkSettings": {"Ports": bindings}}) == {ContainerPort(83): HostPort(LOOPBACK, 7)}


def test_the_containers_of_hanoverd_name_their_image_which_no_image_can() -> None:
    image = Image("sha256:1", ImageName("web"), ())
    for body in (create_body("web", 3, "web-3", Recipe(image, ContainerSpec())), export_body("web", image.id)):
        assert names_its_image({"Labels": body["Labels"], "ImageID": image.id})
        assert not names_its_image({"Labels": body["Labels"], "ImageID": "sha256:2"})
    assert not names_its_image({"Labels": {APP: "web"}, "ImageID": image.id})
    assert not names_its_image({"Labels": None, "ImageID": image.id})


def test_a_container_that_only_prints_is_no_version_whatever_its_image_says() -> None:
    own: Any = export_body("web", "sha256:1")["Labels"]
    assert generation_of({"hanoverd.generation": "7", **own}) == -1
