"""Each parser of docker's options reads any text, or refuses it with ValueError; and what it reads is plain JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.spec.run.devices import parse_device, parse_device_rule, parse_gpus
from hanoverd.spec.run.expose import parse_expose
from hanoverd.spec.run.hosts import parse_address, parse_extra_host, parse_search_domain
from hanoverd.spec.run.isolation import parse_cgroup_mode, parse_pid_mode, parse_user_mode, parse_uts_mode
from hanoverd.spec.run.limits import (
    parse_byte_rate,
    parse_operation_rate,
    parse_swap,
    parse_ulimit,
    parse_weight_device,
)
from hanoverd.spec.run.network import (
    Endpoint,
    endpoints,
    networking,
    parse_link,
    parse_mac_address,
    parse_network,
)
from hanoverd.spec.run.pairs import parse_label, parse_pair, parse_storage_option, parse_sysctl
from hanoverd.spec.run.platform import parse_platform
from hanoverd.spec.run.streams import parse_stream
from hanoverd.spec.run.variable_files import parse_env_file, parse_label_file
from hanoverd.text.durations import parse_nanoseconds
from hanoverd.text.numbers import parse_billionths, parse_float, parse_integer, parse_unsigned
from hanoverd.text.sizes import parse_size


def _network(text: str) -> object:
    return networking(endpoints([parse_network(text)], Endpoint()))


def _platform(text: str) -> str:
    return parse_platform(text, "x86_64")


#: Each parser, with the characters that mean something to it.
PARSERS: list[tuple[Callable[[str], Any], str]] = [
    (parse_device, "/dev/a:rwm.=c"),
    (parse_device_rule, "acb 0123*:rwm"),
    (parse_gpus, 'al,count=device0"capbilesopn1-'),
    (parse_expose, "0123-/tcpu:"),
    (parse_address, "0123.:af%[] "),
    (parse_extra_host, "h:=[]1.2af-host-gateway"),
    (parse_search_domain, "a.b-_1 "),
    (parse_cgroup_mode, "hostprivae:"),
    (parse_pid_mode, "hostcnainer:"),
    (parse_user_mode, "host"),
    (parse_uts_mode, "host"),
    (parse_byte_rate, "/dev/a:0123kmgb."),
    (parse_operation_rate, "/dev/a:0123"),
    (parse_swap, "-10kmg. "),
    (parse_ulimit, "nofile=:0123-"),
    (parse_weight_device, "/dev/a:0123"),
    (_network, 'name=alias,ip6.mac-driver-opt:"gwpority1'),
    (parse_mac_address, "0123af:-."),
    (parse_link, "a:/b"),
    (parse_label, "a=b \t"),
    (parse_pair, "a=b"),
    (parse_storage_option, "size=10G"),
    (parse_sysctl, "net.kernelshmax=1"),
    (_platform, "linux/armv678_-."),
    (parse_stream, "STDINOUErr"),
    (parse_nanoseconds, "0123.hmsnuµ-+"),
    (parse_billionths, "0123./eE+-xob_"),
    (parse_integer, "0123xob_+-"),
    (parse_unsigned, "0123xob_+-"),
    (parse_float, "0123.xpeE_+-"),
    (parse_size, "0123.kmgtpbi eE_+-"),
]


@pytest.mark.parametrize(("parse", "alphabet"), PARSERS, ids=lambda one: getattr(one, "__name__", ""))
@given(data=st.data())
def test_any_text_is_read_or_refused(parse: Callable[[str], Any], alphabet: str, data: st.DataObject) -> None:
    text = data.draw(st.text(alphabet=alphabet) | st.text())
    try:
        value = parse(text)
    except ValueError:
        return
    json.dumps(value)


@given(st.binary() | st.text(alphabet="AB=# \t\r\n\ufeff\xa0").map(str.encode))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    for read in (lambda: parse_env_file("f", data, {"A": "1"}), lambda: parse_label_file("f", data)):
        try:
            found = read()
        except ValueError:
            continue
        json.dumps(found)
        assert len(found) <= data.count(b"\n") + 1


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_whole_number_is_read_as_it_is_written(number: int) -> None:
    assert parse_integer(str(number)) == number
    assert parse_integer(hex(number)) == number
    assert parse_integer(str(number), base=10) == number


@given(st.integers(0, 10**12))
def test_billionths_are_exact(number: int) -> None:
    assert parse_billionths(f"{number}/1000000000") == number
    assert parse_billionths(f"{number // 10**9}.{number % 10**9:09}") == number
