"""Libraries that only some apps need: each is an extra of the package hanoverd, and may be missing."""

from __future__ import annotations

import sys
from enum import Enum
from importlib.util import find_spec

from hanoverd.runtime.errors import MissingExtra


class Extra(Enum):
    """An extra of the package: its name, the module that it installs, and what needs it."""

    S3 = ("s3", "boto3", "an archive in S3")
    METRICS = ("metrics", "prometheus_client", "GET /metrics")
    WEB = ("web", "klein", "`hanoverd web`")
    METRICS_OF_ALL = ("web", "prometheus_client", "`hanoverd web`")
    TEMPLATES = ("web", "jinja2", "`hanoverd web`")
    ZSTD = ("zstd", "zstandard", "an archive that is compressed with zstd")

    def check(self) -> None:
        """Raise ``MissingExtra``, which says how to install it, if the module is missing; does not load it."""
        name, module, purpose = self.value
        if find_spec(module) is None:
            raise MissingExtra(
                f"{purpose} needs the Python package {module}, which is not installed: run "
                f"`{sys.executable} -m pip install 'hanoverd[{name}]'`"
            )
