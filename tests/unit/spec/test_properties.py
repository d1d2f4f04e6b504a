"""What holds for every text: parsers raise nothing but ValueError, and what is valid comes back as it was written."""

from __future__ import annotations

import csv
import hashlib
import hmac
import io
import json
import os
import posixpath
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from hanoverd.hookbot.github import Webhook, read_push
from hanoverd.hookbot.protocol import read_message
from hanoverd.hookbot.tokens import is_valid_token, url_with_token
from hanoverd.images.git_tree import Budget, TreeReader
from hanoverd.spec.environment import last_of_each_name, parse_variable
from hanoverd.spec.git_location import check_branch, check_folder, parse_git
from hanoverd.spec.git_submodules import submodule_location
from hanoverd.spec.hookbot import HookbotURL, Subscription
from hanoverd.spec.image_name import ImageName, built_name, tag_from
from hanoverd.spec.mounts import parse_mount
from hanoverd.spec.names import LONGEST_APP_NAME, app_name_from, check_app_name
from hanoverd.spec.restart import RestartPolicy, parse_restart
from hanoverd.spec.source_name import SourceName, parse_source
from hanoverd.spec.volumes import Bind, parse_volume
from tests.unit.strategies import any_text, text_like, words

CWD = "/home/u/shop"


def read_source(text: str) -> SourceName:
    return parse_source(text, lambda: ("s3", "http", "https", "file"))


PARSERS: list[tuple[Callable[[str], object], str]] = [
    (ImageName.parse, "abA0.-_/:@sha256"),
    (lambda text: parse_volume(text, CWD), "./ab:roz,Z"),
    (lambda text: parse_mount(text, CWD), 'type=bindsrc,/"dst'),
    (lambda text: parse_variable(text, {}), "AB= "),
    (lambda text: parse_git(text, "https"), "aB.~/:@#+-git"),
    (check_branch, "ab/.@{~^"),
    (check_folder, "ab./"),
    (lambda text: read_source(text).default_app, "abgits3htp+:/@#?.-"),
    (parse_restart, "on-failure:alwys0123"),
    (check_app_name, "aB0._-/"),
    (HookbotURL.parse, "wshtp:/@[]%#?ab09.-"),
    (lambda text: Subscription.of(HookbotURL.parse(f"ws://t@h/sub/{text}")), "abrepo/branchdockerpultag%2F"),
]


@pytest.mark.parametrize(("parse", "alphabet"), PARSERS)
@given(data=st.data())
def test_a_parser_raises_nothing_but_value_error(
    parse: Callable[[str], object], alphabet: str, data: st.DataObject
) -> None:
    text = data.draw(text_like(alphabet))
    with suppress(ValueError):
        parse(text)


# Images and apps

_components = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,2})[a-z0-9]{1,5})?", fullmatch=True)
_paths = st.lists(_components, min_size=1, max_size=3).map("/".join)
_registries = st.from_regex(r"[a-z0-9]{1,5}\.[a-z]{2,3}(:[0-9]{1,5})?|localhost|\[::[a-f0-9]{1,4}\]", fullmatch=True)
_tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
_digests = st.binary(min_size=32, max_size=32).map(lambda raw: f"sha256:{raw.hex()}")
app_names = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,30}", fullmatch=True)


@given(_registries, _paths, st.none() | _tags, st.none() | _digests)
def test_the_parts_of_an_image_name_come_back(registry: str, path: str, tag: str | None, digest: str | None) -> None:
    repository = f"{registry}/{path}"
    text = repository + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")
    name = ImageName.parse(text)
    assert (name.repository, name.registry, name.tag, name.digest) == (repository, registry, tag, digest)
    assert ImageName.parse(name.reference).reference == name.reference


@given(_paths)
def test_an_image_without_a_registry_is_on_docker_hub(path: str) -> None:
    assume(not set(path.partition("/")[0]) & set(".") or "/" not in path)
    assume(not path.startswith("localhost/"))
    assert ImageName.parse(path).registry == "docker.io"


@given(st.lists(app_names, min_size=2, max_size=2, unique=True))
def test_two_apps_never_share_the_name_of_a_built_image(apps: list[str]) -> None:
    one, other = (built_name(app).reference for app in apps)
    assert one != other
    assert ImageName.parse(one).reference == one


@given(any_text)
def test_every_text_can_be_made_a_tag_and_an_app_name(text: str) -> None:
    assert ImageName.parse(f"web:{tag_from(text)}").tag == tag_from(text)
    name = app_name_from(text)
    assert check_app_name(name) == app_name_from(name) == name
    assert len(name) <= LONGEST_APP_NAME


@given(text_like("abgits3htp+:/@#?.-"))
def test_every_source_has_a_valid_default_app_name(text: str) -> None:
    try:
        source = read_source(text)
    except ValueError:
        return
    assert check_app_name(source.default_app)


# Mounts and the environment

_absolute = st.lists(words, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(_absolute, _absolute, st.none() | st.permutations(["ro", "z", "rshared", "cached"]))
def test_a_bind_keeps_its_source_its_target_and_its_modes(source: str, target: str, modes: list[str] | None) -> None:
    text = f"{source}:{target}" + (f":{','.join(modes)}" if modes else "")
    found = parse_volume(text, CWD)
    assert isinstance(found, Bind)
    assert (found.spec, found.target) == (text, target)


@given(st.lists(words, min_size=1, max_size=3), _absolute)
def test_a_source_that_begins_with_a_dot_is_relative_to_the_working_folder(parts: list[str], target: str) -> None:
    source = "/".join(parts)
    assert parse_volume(f"./{source}:{target}", CWD) == Bind(f"{CWD}/{source}:{target}")
    assert parse_volume(f"../{source}:{target}", CWD) == Bind(f"{posixpath.dirname(CWD)}/{source}:{target}")


@given(st.text(st.characters(exclude_characters="\r\0"), min_size=1).map("/s{}".format), _absolute, st.randoms())
def test_the_order_of_a_mounts_fields_does_not_matter(source: str, target: str, random: object) -> None:
    fields = ["type=bind", f"src={source}", f"dst={target}", "ro", "bind-propagation=rslave"]
    random.shuffle(fields)  # type: ignore[attr-defined]  # a random.Random
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerow(fields)
    assert parse_mount(written.getvalue(), CWD) == {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rslave"},
    }


_names = st.sampled_from(["A", "B", "C"])


@given(st.lists(st.tuples(_names, st.none() | st.text("x=$ ", max_size=3))), st.dictionaries(_names, words))
def test_the_last_entry_of_a_variable_wins(entries: list[tuple[str, str | None]], environ: dict[str, str]) -> None:
    texts = [name if value is None else f"{name}={value}" for name, value in entries]
    expected = {name: environ.get(name) if value is None else value for name, value in entries}
    entries_that_count = last_of_each_name(parse_variable(text, environ) for text in texts)
    found = dict(text.partition("=")[::2] if "=" in text else (text, None) for text in entries_that_count)
    assert found == expected


# Git


@given(text_like("ab./"))
def test_a_folder_of_a_repository_never_leaves_it(text: str) -> None:
    try:
        folder = check_folder(text)
    except ValueError:
        return
    assert posixpath.normpath(posixpath.join("/repository", folder)).startswith("/repository")
    assert check_folder(folder) == folder


@given(text_like("aB.~/:@#+-git"))
def test_a_mirror_of_a_repository_never_leaves_its_folder(text: str) -> None:
    for url in (text, f"https://{text}", f"ssh://git@h/{text}", f"u@h:{text}", f"h/u/{text}"):
        try:
            mirror = parse_git(url, "https").mirror
        except ValueError:
            continue
        assert posixpath.normpath(posixpath.join("/mirrors", mirror)).startswith("/mirrors/")


@pytest.mark.parametrize("path", ["../../other/me/app", "a/../../other", "..", "a/..:../b", "~/../../b"])
def test_a_mirror_of_a_repository_never_leaves_the_folder_of_its_host(path: str) -> None:
    for url in (f"https://h/{path}", f"u@h:{path}"):
        try:
            mirror = parse_git(url, "https").mirror
        except ValueError:
            continue
        assert (mirror + "/").startswith("h/")
    for host in ("..", "h[a/..", "h:..:.."):
        with pytest.raises(ValueError, match="is not a git repository"):
            parse_git(f"https://{host}/me/app", "https")


@given(st.lists(words, min_size=3, max_size=4).map("/".join), words, words, st.sampled_from(["https", "ssh"]))
def test_the_parts_of_a_git_location_come_back(path: str, branch: str, folder: str, protocol: str) -> None:
    found = parse_git(f"{path}#{branch}:{folder}", protocol)
    assert (found.mirror, found.branch, found.folder) == (path, branch, folder)
    assert found.url == (f"https://{path}" if protocol == "https" else f"ssh://git@{path}")
    assert parse_git(found.url, protocol).mirror == path


@given(st.sampled_from(["https://h/me/app", "ssh://git@h:22/me/app", "git@h:me/app"]), text_like("./.h:@#-%a"))
def test_a_relative_url_of_a_submodule_stays_at_its_host(parent: str, rest: str) -> None:
    location = parse_git(parent, "https")
    for url in (f"../{rest}", f"./{rest}", f"../../{rest}"):
        try:
            found = submodule_location(location, url)
        except ValueError:
            continue
        assert found.mirror.split("/")[0] == "h", (url, found)
        assert "://" not in found.mirror
        assert found.protocol == location.protocol


@given(st.binary(max_size=200), st.lists(st.integers(1, 50), max_size=10))
def test_a_listing_of_git_is_read_the_same_in_any_pieces(path: bytes, sizes: list[int]) -> None:
    path = path.replace(b"\0", b"") or b"x"
    listing = (
        b"160000 commit " + b"1" * 40 + b"       -\t" + path + b"\0" + b"100644 blob " + b"2" * 40 + b"     7\ta\0"
    )
    budget = Budget(10**9)
    reader = TreeReader(budget)
    at = 0
    for size in [*sizes, len(listing)]:
        reader.take(listing[at : at + size])
        at += size
    assert reader.submodules == {os.fsdecode(path): "1" * 40}
    assert (budget.entries, reader.excess) == (2, "")


@given(st.integers(0, 10**6))
def test_a_number_of_restarts_comes_back_and_zero_means_no_limit(most: int) -> None:
    assert parse_restart(f"on-failure:{most}") == RestartPolicy("on-failure", most or None)


# Hookbot

_topics = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=3).map("/".join)


@given(st.sampled_from(["ws", "wss", "http", "https"]), words, st.none() | st.integers(1, 65535), any_text, words)
def test_a_hookbot_url_is_read_back_from_its_text_without_its_token(
    scheme: str, host: str, port: int | None, topic: str, token: str
) -> None:
    path = HookbotURL("ws", "h", 80, f"/sub/{topic}").quoted_path
    url = HookbotURL.parse(f"{scheme}://{token}@{host}{f':{port}' if port else ''}{path}")
    assert (url.host, url.path, url.topic, url.token) == (host, f"/sub/{topic}", topic or None, token)
    again = HookbotURL.parse(str(url))
    assert (again.scheme, again.host, again.port, again.path) == (url.scheme, url.host, url.port, url.path)
    assert again.token == ""


@given(words, _topics, st.text(max_size=4))
def test_a_token_is_good_for_its_own_path_only(key: str, topic: str, suffix: str) -> None:
    path = HookbotURL("ws", "h", 80, f"/sub/{topic}").quoted_path
    # A text with "://" is a URL, not a path.
    assume("://" not in path)
    token, text = url_with_token(path, key, "ws://h")
    url = HookbotURL.parse(text)
    assert url.token == token
    assert is_valid_token(key, url.path, token)
    assert not is_valid_token(f"{key}.", url.path, token)
    if suffix and not url.path.endswith("/"):
        assert not is_valid_token(key, url.path + suffix, token)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def _perhaps(value: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Return what should be there, or any JSON in its place."""
    return value | _json


_pushes = st.fixed_dictionaries(
    {"Repo": _perhaps(st.just("me/app")), "Branch": _perhaps(st.just("main")), "SHA": _perhaps(st.just("a" * 40))},
    optional={"Type": _perhaps(st.just("push")), "Who": _json},
)
_messages = st.binary() | _perhaps(_pushes).map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize(
    "topic",
    ["github.com/repo/me/app/branch/main", "github.com/repo/me/app/branch/", "docker-pull/web/tag/1", "hanoverd/cwd"],
)
@given(message=_messages, has_topic=st.booleans())
def test_a_message_is_read_or_refused_with_a_value_error(topic: str, message: bytes, has_topic: bool) -> None:
    subscription = Subscription.of(HookbotURL.parse(f"ws://t@h/sub/{topic}"))
    with suppress(ValueError):
        commit, _ = read_message(subscription, topic.encode() + b"\0" + message if has_topic else message)
        assert commit in (None, "a" * 40)


_PUSHED = {"full_name": "me/app", "pushed_at": 1_700_000_000}

_github = st.fixed_dictionaries(
    {
        "repository": _perhaps(st.just(_PUSHED)),
        "ref": _perhaps(st.just("refs/heads/main")),
        "before": _perhaps(st.just("b" * 40)),
        "after": _perhaps(st.just("a" * 40)),
    },
    optional={"pusher": _perhaps(st.just({"name": "someone"}))},
)


@given(_perhaps(_github), st.sampled_from(["push", "ping"]))
@example({"repository": _PUSHED, "ref": "refs/heads/x", "before": "b", "after": "a", "pusher": "me"}, "push")
@example(
    {"repository": {"full_name": "me/app", "pushed_at": 10**400}, "ref": "refs/heads/x", "before": "", "after": ""},
    "push",
)
def test_a_signed_webhook_is_a_push_or_ignored_or_refused_with_a_value_error(payload: object, event: str) -> None:
    raw = json.dumps(payload).encode()
    signature = hmac.new(b"secret", raw, hashlib.sha256).hexdigest()
    with suppress(ValueError):
        push = read_push(Webhook(raw, event, signature256=f"sha256={signature}"), "secret")
        assert push is None or event == "push"


@given(st.binary(), st.sampled_from(["push", "ping"]), any_text)
def test_an_unsigned_webhook_is_refused(body: bytes, event: str, signature: str) -> None:
    with pytest.raises(ValueError):
        read_push(Webhook(body, event, signature, signature), "secret")
