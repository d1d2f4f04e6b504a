"""Names of images."""

from __future__ import annotations

import pytest

from hanoverd.spec.image_name import ImageName, built_name

SHA = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "name", "reference"),
    [
        ("nginx", ImageName("nginx"), "nginx:latest"),
        ("nginx:1.27", ImageName("nginx", "1.27"), "nginx:1.27"),
        ("team/web", ImageName("team/web"), "team/web:latest"),
        ("localhost/web:a", ImageName("localhost/web", "a"), "localhost/web:a"),
        ("host:5000/a/b:t", ImageName("host:5000/a/b", "t"), "host:5000/a/b:t"),
        ("[::1]:5000/web", ImageName("[::1]:5000/web"), "[::1]:5000/web:latest"),
        (f"host:5000/web@{SHA}", ImageName("host:5000/web", None, SHA), f"host:5000/web@{SHA}"),
        (f"web:t@{SHA}", ImageName("web", "t", SHA), f"web@{SHA}"),
        (SHA, ImageName("", None, SHA), SHA),
        (SHA.removeprefix("sha256:"), ImageName("", None, SHA), SHA),
    ],
)
def test_a_name_is_read_as_written_and_given_to_the_engine_whole(text: str, name: ImageName, reference: str) -> None:
    assert ImageName.parse(text) == name
    assert ImageName.parse(text).reference == reference


@pytest.mark.parametrize(
    ("text", "tag_or_digest"),
    [("web", "latest"), ("web:7", "7"), (f"web@{SHA}", SHA), (f"web:7@{SHA}", SHA)],
)
def test_a_digest_goes_before_a_tag_and_a_tag_before_latest(text: str, tag_or_digest: str) -> None:
    assert ImageName.parse(text).tag_or_digest == tag_or_digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Web", "invalid reference format: repository name (library/Web) must be lowercase"),
        ("team/Web:t", "invalid reference format: repository name (team/Web) must be lowercase"),
        ("", "invalid reference format"),
        ("web:", "invalid reference format"),
        ("web app", "invalid reference format"),
        ("-web", "invalid reference format"),
        ("web@latest", "invalid reference format"),
        ("https://host/web", "invalid reference format"),
        (f"web@sha999:{'0' * 64}", "unsupported digest algorithm"),
        (f"web@sha256:{'0' * 63}", "invalid checksum digest length"),
        ("a" * 300, "repository name must not be more than 255 characters"),
    ],
)
def test_what_is_no_name_is_refused_in_dockers_words(text: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        ImageName.parse(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("app", ["web", "Web", "my_app", "a-_b.", "x..y", "1"])
def test_an_image_built_for_any_app_has_a_valid_name(app: str) -> None:
    assert ImageName.parse(built_name(app).reference).repository == built_name(app).repository


def test_an_image_built_for_an_app_is_called_after_it() -> None:
    assert built_name("web").reference == "hanoverd/web:latest"


@pytest.mark.parametrize("app", ["web", "my-app", "my_app", "a.b", "a--b", "1"])
def test_an_app_whose_name_a_repository_can_have_gives_it_to_its_images(app: str) -> None:
    assert built_name(app).repository == f"hanoverd/{app}"


@pytest.mark.parametrize(("one", "other"), [("Web", "web"), ("a..b", "a-b"), ("my_-app", "my-app"), ("Web", "WEB")])
def test_no_two_apps_share_an_images_name(one: str, other: str) -> None:
    assert built_name(one) != built_name(other)
