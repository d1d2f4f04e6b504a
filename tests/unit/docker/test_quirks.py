"""The texts of Docker's programs, as the versions that quirks names print them."""

from __future__ import annotations

import pytest

from hanoverd.docker import quirks


@pytest.mark.parametrize(
    ("error", "is_rate_limit"),
    [
        ("toomanyrequests: You have reached your pull rate limit.", True),
        ("received unexpected HTTP status: 429 Too Many Requests", True),
        ("manifest for base:v1 not found: manifest unknown", False),
    ],
)
def test_a_rate_limit(error: str, is_rate_limit: bool) -> None:
    assert quirks.is_rate_limit(error) is is_rate_limit


def test_a_full_disk() -> None:
    error = "failed to register layer: Error processing tar file(exit status 1): write /data: no space left on device"
    assert quirks.is_disk_full(error)
    assert not quirks.is_disk_full("permission denied")


def test_a_complete_pull_has_a_digest() -> None:
    assert quirks.pulled_digest("Digest: sha256:12ab") == "sha256:12ab"
    assert quirks.pulled_digest("a1b2: Pull complete") is None
    assert quirks.pulled_digest("a1b2: Digest: sha256:12ab") is None
    assert quirks.pulled_digest("Digest: sha256:12ab or so") is None


def test_a_pull_that_changed_nothing() -> None:
    assert quirks.is_up_to_date("Status: Image is up to date for base:v1")
    assert not quirks.is_up_to_date("a1b2: Status: Image is up to date for base:v1")
    assert not quirks.is_up_to_date("Status: Downloaded newer image for base:v1")


def test_a_helper_without_a_login() -> None:
    assert quirks.has_no_credentials("credentials not found in native keychain\n")
    assert not quirks.has_no_credentials("the keychain is locked")


def test_the_version_of_dockers_client() -> None:
    assert quirks.client_version("Docker version 20.10.24+dfsg1, build 297e128\n") == (20, 10)
    assert quirks.client_version("podman version 4.3.1\n") is None
