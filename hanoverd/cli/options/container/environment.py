"""Options of the environment and the metadata of a container."""

from __future__ import annotations

from collections.abc import Iterable

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import LABEL, PAIR, Context, Value
from hanoverd.spec.environment import last_of_each_name, parse_variable
from hanoverd.spec.run.variable_files import parse_env_file, parse_label_file


def _read_variable(text: str, context: Context) -> str:
    return parse_variable(text, context.environ)


def _read_env_file(path: str, context: Context) -> tuple[str, ...]:
    return tuple(parse_env_file(path, context.read_file(path, "env"), context.environ))


def _read_label_file(path: str, context: Context) -> tuple[tuple[str, str], ...]:
    return tuple(parse_label_file(path, context.read_file(path, "env")))


def _flat(files: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(entry for entries in files for entry in entries)


def _merged(files: Iterable[Iterable[tuple[str, str]]]) -> dict[str, str]:
    return dict(pair for pairs in files for pair in pairs)


ENVIRONMENT = (
    Option(
        name="env",
        letter="e",
        kind=Kind.REPEATED,
        metavar="NAME[=VALUE]",
        help="Set an environment variable",
        text="""\
``NAME`` alone passes on the variable from hanoverd's own environment; if it is not set there, the container does not
get the image's value either. VALUE is not expanded. If a NAME is given several times, the last one counts. You can
override the variables that hanoverd sets (``HANOVERD_IMAGE`` and so on).""",
        value=Value(_read_variable, join=last_of_each_name),
        secret=Secret.AFTER_EQUALS,
    ),
    Option(
        name="env-file",
        kind=Kind.REPEATED,
        metavar="FILE",
        help="Read environment variables from a file",
        text="""\
One ``NAME=VALUE`` or ``NAME`` a line. The file is read at the start, and again for each version. ``--env`` overrides
it.""",
        value=Value(_read_env_file, is_late=True, join=_flat),
    ),
    Option(
        name="label",
        letter="l",
        kind=Kind.REPEATED,
        metavar="KEY[=VALUE]",
        help="Set metadata on the container",
        text="Labels that start with ``hanoverd.``, and ``orchestrator``, are hanoverd's own.",
        value=LABEL,
    ),
    Option(
        name="label-file",
        kind=Kind.REPEATED,
        metavar="FILE",
        help="Read labels from a file",
        text="The file is read at the start, and again for each version.",
        value=Value(_read_label_file, is_late=True, join=_merged),
    ),
    Option(
        name="annotation",
        kind=Kind.REPEATED,
        metavar="KEY[=VALUE]",
        help="Add an annotation to the container, for the OCI runtime",
        value=PAIR,
        request="HostConfig.Annotations",
    ),
)
