"""All targets by name, with the place of each: a target is imported only when it runs."""

from __future__ import annotations

from importlib import import_module

from tests.fuzz.target import Target

TARGETS = {
    "dockerignore": "contexts:DOCKERIGNORE",
    "dockerfile": "contexts:DOCKERFILE",
    "image": "references:IMAGE",
    "git": "references:GIT",
    "git-submodule": "references:SUBMODULE",
    "publish": "references:PUBLISH",
    "mount": "references:MOUNT",
    "archive": "archives:ARCHIVE",
    "archive-manifest": "archives:MANIFEST",
    "webhook": "messages:WEBHOOK",
    "hookbot-message": "messages:MESSAGE",
    "hookbot-path": "messages:PATH",
    "hookbot-request": "requests:HOOKBOT",
    "labels": "labels:LABELS",
    "control-request": "requests:CONTROL",
    "iptables-save": "network:IPTABLES",
    "conntrack": "network:CONNTRACK",
}


def load(name: str) -> Target:
    """Return the target of this name."""
    module, _, attribute = TARGETS[name].partition(":")
    target: Target = getattr(import_module(f"tests.fuzz.{module}"), attribute)
    return target
