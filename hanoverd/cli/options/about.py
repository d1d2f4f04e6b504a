"""The options of every command: help, and the version."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN

HELP = Option(name="help", letter="h", kind=Kind.BOOLEAN, value=BOOLEAN, help="Show this help and exit")
VERSION = Option(name="version", kind=Kind.BOOLEAN, value=BOOLEAN, help="Show the version of hanoverd and exit")
