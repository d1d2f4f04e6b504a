"""The names of apps and versions."""

from __future__ import annotations

import pytest

from hanoverd.spec.names import LONGEST_APP_NAME, app_name_from, check_app_name, version_name


@pytest.mark.parametrize("name", ["web", "w", "Web_2.x-y", "0", "w" * LONGEST_APP_NAME])
def test_a_valid_name_stays_as_it_is(name: str) -> None:
    assert check_app_name(name) == name


def test_a_slash_in_front_is_dropped_as_the_engine_does() -> None:
    assert check_app_name("/shop") == "shop"


@pytest.mark.parametrize("name", ["", "-web", ".web", "my web", "a/b", "//a", "wéb", "web\n"])
def test_a_name_that_no_container_could_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="Invalid container name"):
        check_app_name(name)


def test_a_name_that_leaves_no_room_for_the_number_is_refused() -> None:
    with pytest.raises(ValueError, match=f"too long: at most {LONGEST_APP_NAME} characters"):
        check_app_name("w" * (LONGEST_APP_NAME + 1))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/srv/Shop Front", "shop-front"),
        ("/srv/shop/", "shop"),
        ("registry:5000/team/shop", "shop"),
        ("/srv/.hidden", "hidden"),
        ("/srv/año", "a-o"),
        ("/", "app"),
        ("", "app"),
        ("/srv/___", "app"),
        ("/srv/" + "x" * (LONGEST_APP_NAME - 1) + "-tail", "x" * (LONGEST_APP_NAME - 1)),
    ],
)
def test_a_folder_or_repository_gives_a_valid_name(text: str, name: str) -> None:
    assert app_name_from(text) == name
    assert check_app_name(name) == name


def test_even_the_ten_millionth_version_fits_in_a_hostname() -> None:
    assert len(version_name("w" * LONGEST_APP_NAME, 9_999_999)) == 63


def test_versions_are_numbered() -> None:
    assert version_name("web", 3) == "web-3"
