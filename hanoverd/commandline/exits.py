"""How a command line that is wrong, or asks for help, ends the process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hanoverd.commandline.parse import InfoRequested, parse
from hanoverd.commandline.settings import Settings
from hanoverd.errors import HanoverdError, UsageError

USAGE_FAILED = 2


def settings_or_exit(arguments: Sequence[str]) -> Settings:
    """The settings that a command line asks for; prints and exits where it asks for help, or is wrong."""
    try:
        return parse(list(arguments), os.environ, str(Path.cwd()))
    except InfoRequested as info:
        sys.stdout.write(f"{info}\n")
        raise SystemExit(0) from None
    except UsageError as error:
        complain(error)
        raise SystemExit(USAGE_FAILED) from None


def complain(error: HanoverdError) -> None:
    """Tell the user on standard error."""
    sys.stderr.write(f"hanoverd: {error}\n")
