"""Options that an engine is too old for."""

from __future__ import annotations

from typing import Any

import pytest

from hanoverd.docker.option_versions import check_options
from hanoverd.runtime.errors import EngineError

ANNOTATIONS = {"HostConfig.Annotations": {"a": "b"}}
START_INTERVAL = {"Healthcheck": {"StartInterval": 10**9}}


@pytest.mark.parametrize(
    ("settings", "version", "option"),
    [(ANNOTATIONS, "1.42", "annotation"), (START_INTERVAL, "1.43", "health-start-interval")],
)
def test_what_the_engine_would_ignore_is_refused(settings: dict[str, Any], version: str, option: str) -> None:
    with pytest.raises(
        EngineError, match=f'"--{option}" requires API version .*, but the Docker daemon API version is'
    ):
        check_options(settings, version)


@pytest.mark.parametrize(
    ("settings", "version"),
    [
        ({}, "1.41"),
        ({"Healthcheck": {"Test": ["NONE"]}}, "1.41"),
        (ANNOTATIONS, "1.43"),
        (START_INTERVAL, "1.44"),
        (ANNOTATIONS | START_INTERVAL, "1.100"),
    ],
)
def test_what_the_engine_knows_is_accepted(settings: dict[str, Any], version: str) -> None:
    check_options(settings, version)
