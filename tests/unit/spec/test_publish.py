"""Published ports."""

from __future__ import annotations

import pytest

from hanoverd.spec.publish import Publish, check_publish, parse_publish


def one(port: int) -> range:
    """The range that holds one port."""
    return range(port, port + 1)


@pytest.mark.parametrize(
    ("text", "published"),
    [
        ("7000", [Publish(None, None, 7000)]),
        (":7000", [Publish(None, None, 7000)]),
        ("::7000", [Publish(None, None, 7000)]),
        ("0:7000", [Publish(None, None, 7000)]),
        ("9000:7000", [Publish(None, one(9000), 7000)]),
        ("009000:07000/TCP", [Publish(None, one(9000), 7000)]),
        ("9000:7000/", [Publish(None, one(9000), 7000)]),
        ("10.1.2.3:9000:7000", [Publish("10.1.2.3", one(9000), 7000)]),
        ("[10.1.2.3]:9000:7000", [Publish("10.1.2.3", one(9000), 7000)]),
        ("10.1.2.3::7000", [Publish("10.1.2.3", None, 7000)]),
        ("0.0.0.0:9000:7000", [Publish(None, one(9000), 7000)]),
        ("9000-9001:7000-7001", [Publish(None, one(9000), 7000), Publish(None, one(9001), 7001)]),
        ("7000-7001", [Publish(None, None, 7000), Publish(None, None, 7001)]),
        ("9000-9005:7000", [Publish(None, range(9000, 9006), 7000)]),
        ("9000-9000:7000", [Publish(None, one(9000), 7000)]),
        ("published=9000,target=7000", [Publish(None, one(9000), 7000)]),
        ("target=7000,mode=host", [Publish(None, None, 7000)]),
    ],
)
def test_every_spelling_of_docker_is_read(text: str, published: list[Publish]) -> None:
    assert list(parse_publish(text)) == published


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no port specified: <empty>"),
        ("9000:", "no port specified: 9000:<empty>"),
        ("published=9000", "no port specified: 9000:/tcp<empty>"),
        ("http", "invalid containerPort: http"),
        ("9000:70000", "invalid containerPort: 70000"),
        ("7001-7000", "invalid containerPort: 7001-7000"),
        ("7000 ", "invalid containerPort: 7000 "),
        ("9000:0", "invalid containerPort: 0 (nothing can be reached on port 0)"),
        ("+9000:7000", "invalid hostPort: +9000"),
        ("9\u0663:7000", "invalid hostPort: 9\u0663"),
        ("9002-9001:7000", "invalid hostPort: 9002-9001"),
        ("9000:7000-7001", "invalid ranges specified for container and host Ports: 7000-7001 and 9000"),
        (
            "9000-9002:7000-7001",
            "invalid ranges specified for container and host Ports: 7000-7001 and 9000-9002",
        ),
        ("9000:7000/quic", "invalid proto: quic"),
        ("host.example:9000:7000", "invalid IP address: host.example"),
        ("10.1.2.03:9000:7000", "invalid IP address: 10.1.2.03"),
        ("fe80::1%eth0:9000:7000", "invalid IP address: fe80::1%eth0"),
        ("[fe80::1:9000:7000", "invalid IP address [fe80::1: address [fe80::1:: missing ']' in address"),
        (
            "[fe80::1]x:9000:7000",
            "invalid IP address [fe80::1]x: address [fe80::1]x:: missing port in address",
        ),
        ("published=9000,7000", "invalid publish opts format (should be name=value but got '7000')"),
        ("9000:7000/udp", "udp cannot be published so far, only tcp"),
        (
            "[fe80::1]:9000:7000",
            "only IPv4 is published so far, and fe80::1 is IPv6: give an IPv4 address, or none",
        ),
    ],
)
def test_what_cannot_be_published_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_publish(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "texts",
    [
        ["9000:7000", "9001:7000"],
        ["10.0.0.1:9000:7000", "10.0.0.2:9000:7001"],
        ["7000", "7000"],
        ["9000-9001:7000", "9000-9001:7001"],
    ],
)
def test_ports_that_do_not_meet_are_fine(texts: list[str]) -> None:
    check_publish([publish for text in texts for publish in parse_publish(text)])


@pytest.mark.parametrize(
    "texts",
    [["9000:7000", "9000:7001"], ["9000:7000", "10.0.0.1:9000:7001"], ["9000-9002:7000-7002", "9001:80"]],
)
def test_one_host_port_cannot_lead_to_two_ports(texts: list[str]) -> None:
    with pytest.raises(ValueError, match="is published twice"):
        check_publish([publish for text in texts for publish in parse_publish(text)])
