"""What the user asks of the next version's container: files of variables and labels are read again for each version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hanoverd.runtime.errors import InputFileFailed
from hanoverd.runtime.input_files import MOST_BYTES
from hanoverd.runtime.regular_files import read_regular
from hanoverd.spec.container import LABELS, ContainerSpec


def _read(path: str) -> bytes:
    # At the start it was a regular file.  A pipe would block the reactor.
    return read_regular(Path(path), MOST_BYTES)


def current_options(container: ContainerSpec, environ: Mapping[str, str]) -> ContainerSpec:
    """Return the options with the variables and labels that the files have now.

    Fails with ``InputFileFailed``: the version is not created, and the live one keeps serving.
    """
    inputs = container.inputs
    if not inputs.has_files:
        return container
    try:
        env, labels = inputs.variables(_read, environ), inputs.all_labels(_read)
    except (OSError, ValueError) as error:
        files = ", ".join((*inputs.env_files, *inputs.label_files))
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputFileFailed(f"cannot read the variables and labels of the next version ({files}): {reason}") from None
    settings = {place: value for place, value in container.settings.items() if place != LABELS}
    return replace(container, env=env, settings={**settings, LABELS: labels} if labels else settings)
