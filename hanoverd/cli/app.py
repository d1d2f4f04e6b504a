"""The specification of an app from a command line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from platform import machine

from hanoverd.cli.container import (
    check_side_by_side,
    container_settings,
    inputs,
    refuse_windows_options,
    unsupported,
)
from hanoverd.cli.given import Given, Tree
from hanoverd.cli.readiness import check_readiness
from hanoverd.docker.proxies import proxy_variables
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from hanoverd.spec.build import ALWAYS
from hanoverd.spec.container import LABELS, MOUNTS
from hanoverd.spec.hookbot import HookbotSpec, HookbotURL, Subscription
from hanoverd.spec.names import app_name_from
from hanoverd.spec.run.inputs import with_proxies
from hanoverd.spec.run.platform import parse_platform
from hanoverd.spec.source_name import BUILD, FOLDER, SourceName, parse_source
from hanoverd.spec.volumes import check_mount_points
from hanoverd.text.quoting import quoted

#: The environment variable with the secret that signs notifications.
NOTIFY_SECRET = "HANOVERD_NOTIFY_SECRET"  # noqa: S105  # its name

#: Returns the schemes of the sources that are installed.
Schemes = Callable[[], Collection[str]]


def app_spec(given: Given, rest: Sequence[str], schemes: Schemes) -> AppSpec:
    """Return the specification of the app; UsageError for options that do not go together, or a wrong IMAGE."""
    tree = given.tree()
    container = tree.setdefault("container", Tree())
    _complete_container(container, given)
    container["command"] = tuple(rest[1:])
    tree["ports"] = given.value("publish")
    tree.put("notifications.secret", _notify_secret(given))
    hookbot = hookbot_spec(given, "hookbot")
    name = _source_name(hookbot, rest[0] if rest else None, schemes)
    if hookbot is not None:
        tree["hookbot"] = hookbot
        # The image that a message announces is newer than the one that the engine has.
        tree["source"].setdefault("pull", ALWAYS)
    complete_source(tree, given, name)
    container["platform"] = platform = _platform(given)
    tree.put("source.build.platform", platform)
    tree.setdefault("name", app_name_from(given.context.cwd) if name.scheme == FOLDER else name.default_app)
    check_side_by_side(given, tree["name"])
    spec: AppSpec = tree.make(AppSpec)
    check_readiness(given, spec.health)
    return spec if spec.container.reachability.is_routed else replace(spec, ports=())


def check_with_engine_rules(given: Given, spec: AppSpec) -> list[str]:
    """Return why the engine would refuse to create the container, as far as that is known without the engine."""
    return [*given.engine_problems(), *_duplicate_mounts(spec), *unsupported(spec)]


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


def _complete_container(container: Tree, given: Given) -> None:
    refuse_windows_options(given)
    settings = container.setdefault("settings", {})
    settings |= container_settings(given)
    env = with_proxies(given.value("env"), proxy_variables(given.context.environ))
    container["inputs"] = inputs(given, env)
    container["env"] = (*given.value("env-file"), *env)
    labels = {**given.value("label-file"), **given.value("label")}
    if labels:
        settings[LABELS] = labels
    # In the order in which the engine lists them.
    container["ports"] = tuple(sorted({request.container for request in given.value("publish")}))


def _notify_secret(given: Given) -> str:
    return given.value("notify-secret-file") or given.context.environ.get(NOTIFY_SECRET, "")


def _platform(given: Given) -> str:
    try:
        return parse_platform(given.value("platform") or "", machine())
    except ValueError as error:
        raise UsageError(str(error)) from None


def _duplicate_mounts(spec: AppSpec) -> list[str]:
    container = spec.container
    binds = (bind.split(":")[1] for bind in container.volumes.binds)
    mounts = (str(mount["Target"]) for mount in container.settings.get(MOUNTS, ()))
    try:
        check_mount_points([*binds, *mounts])
    except ValueError as error:
        return [str(error)]
    return []
