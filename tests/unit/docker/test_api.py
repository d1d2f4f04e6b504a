"""The choice of the API version."""

from __future__ import annotations

import pytest

from hanoverd.docker.api import NEWEST_API, BuildRequest, choose_api_version, split_endpoints
from hanoverd.runtime.errors import EngineError


@pytest.mark.parametrize(
    ("newest", "oldest", "chosen"),
    [
        ("1.41", "1.12", "1.41"),
        ("1.47", "1.24", "1.47"),
        ("1.50", "1.24", NEWEST_API),
        ("1.100", "1.24", NEWEST_API),
    ],
)
def test_the_newest_version_that_both_support_is_chosen(newest: str, oldest: str, chosen: str) -> None:
    assert choose_api_version({"ApiVersion": newest, "MinAPIVersion": oldest}) == chosen


def test_an_engine_that_does_not_name_its_oldest_version_supports_all() -> None:
    assert choose_api_version({"ApiVersion": "1.44"}) == "1.44"


@pytest.mark.parametrize(("newest", "oldest"), [("1.40", "1.12"), ("1.9", "1.1"), ("1.60", "1.51")])
def test_an_engine_without_a_common_version_is_an_error(newest: str, oldest: str) -> None:
    answer = {"Version": "99.0", "ApiVersion": newest, "MinAPIVersion": oldest}
    with pytest.raises(EngineError, match=rf"\(99\.0\) supports the API versions {oldest} to {newest}, and hanoverd"):
        choose_api_version(answer)


def test_a_build_request_does_not_show_its_secrets() -> None:
    request = BuildRequest("app", args={"TOKEN": "hidden-1"}, logins={"r.example": {"password": "hidden-2"}})
    assert "hidden" not in repr(request)


ENDPOINTS = {"back": {"Aliases": ["b"]}, "front": {"Aliases": ["f"], "MacAddress": "02:00:00:00:00:01"}}
BODY = {"HostConfig": {"NetworkMode": "front"}, "NetworkingConfig": {"EndpointsConfig": ENDPOINTS}}


def test_newer_engines_take_the_endpoints_of_all_networks_at_once() -> None:
    assert split_endpoints(BODY, "1.44") == (BODY, {})


def test_older_engines_take_that_of_the_first_network() -> None:
    request, others = split_endpoints(BODY, "1.43")
    assert request["NetworkingConfig"] == {"EndpointsConfig": {"front": ENDPOINTS["front"]}}
    assert request["MacAddress"] == "02:00:00:00:00:01"
    assert others == {"back": ENDPOINTS["back"]}
    assert "MacAddress" not in BODY


def test_a_request_without_endpoints_is_sent_as_it_is() -> None:
    assert split_endpoints({"Image": "img"}, "1.41") == ({"Image": "img"}, {})
