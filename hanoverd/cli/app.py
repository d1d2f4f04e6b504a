"""The specification of an app from a command line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from hanoverd.cli.given import Given, Tree
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.build import ALWAYS
from hanoverd.spec.container import MOUNTS
from hanoverd.spec.hookbot import HookbotSpec, HookbotURL, Subscription
from hanoverd.spec.names import app_name_from
from hanoverd.spec.source_name import BUILD, FOLDER, SourceName, parse_source
from hanoverd.spec.volumes import check_mount_points
from hanoverd.text.quoting import quoted

#: Returns the schemes of the sources that are installed.
Schemes = Callable[[], Collection[str]]


def app_spec(given: Given, rest: Sequence[str], schemes: Schemes) -> AppSpec:
    """Return the specification of the app; UsageError for options that do not go together, or a wrong IMAGE."""
    tree = given.tree()
    container = tree.setdefault("container", Tree())
    _check_mount_points(container)
    container["command"] = tuple(rest[1:])
    # In the order in which the engine lists them.
    container["ports"] = tuple(sorted({request.container for request in given.value("publish")}))
    tree["ports"] = given.value("publish")
    hookbot = hookbot_spec(given, "hookbot")
    name = _source_name(hookbot, rest[0] if rest else None, schemes)
    if hookbot is not None:
        tree["hookbot"] = hookbot
        # The image that a message announces is newer than the one that the engine has.
        tree["source"].setdefault("pull", ALWAYS)
    complete_source(tree, given, name)
    tree.setdefault("name", app_name_from(given.context.cwd) if name.scheme == FOLDER else name.default_app)
    return tree.make(AppSpec)


def complete_source(tree: Tree, given: Given, name: SourceName) -> None:
    """Add what no option says to the source in ``tree``."""
    tree["source"] |= {"name": name, "folder": given.context.cwd}


def hookbot_spec(given: Given, option: str) -> HookbotSpec | None:
    """Return the hookbot of the URL that ``option`` has, if any; the errors do not repeat it: it can have a token."""
    text = given.value(option)
    if not text:
        return None
    try:
        url = HookbotURL.parse(text)
        if url.is_unsafe and not given.value("hookbot-unsafe"):
            raise ValueError(
                f"everybody can publish at {quoted(url.path)}: write --hookbot-unsafe if they may start what it starts"
            )
        return HookbotSpec(Subscription.of(url), given.value("hookbot-ca"))
    except ValueError as error:
        raise UsageError(f"hookbot: {error}") from None


def _source_name(hookbot: HookbotSpec | None, text: str | None, schemes: Schemes) -> SourceName:
    """Return the source of the hookbot's topic, else that of the argument, else the current folder."""
    if hookbot is not None:
        source = hookbot.subscription.source
        if text not in (None, BUILD):
            raise UsageError(
                f"the URL of the hookbot already says what to obtain ({source.text}): write @ instead of "
                f"{quoted(text or '')}, or nothing"
            )
        return source
    try:
        return parse_source(BUILD if text is None else text, schemes)
    except ValueError as error:
        raise UsageError(
            f"{error} ({quoted(text or '')} is read as IMAGE, the first argument that is not an option; "
            "write [HOST/]NAME[:TAG] in lower case)"
        ) from None


def _check_mount_points(container: Tree) -> None:
    binds = container["volumes"].binds if "volumes" in container else ()
    mounts = container.get("settings", {}).get(MOUNTS, ())
    try:
        check_mount_points([*(bind.split(":")[1] for bind in binds), *(str(mount["Target"]) for mount in mounts)])
    except ValueError as error:
        raise UsageError(str(error)) from None
