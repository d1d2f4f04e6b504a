"""The options of the container, as docker run has them.

They are in the order in which docker checks their values, so that of several errors the same one is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import BOOLEAN, SIGNAL, WHOLE_SECONDS, Context, Value, plain
from hanoverd.spec.environment import last_of_each_name, parse_variable
from hanoverd.spec.mounts import parse_mount
from hanoverd.spec.ports import PortRequest, check_conflicts, parse_publish
from hanoverd.spec.volumes import AnonymousVolume, Bind, Volumes, parse_volume


def _read_variable(text: str, context: Context) -> str:
    return parse_variable(text, context.environ)


def _read_volume(text: str, context: Context) -> Bind | AnonymousVolume:
    return parse_volume(text, context.cwd)


def _read_mount(text: str, context: Context) -> dict[str, object]:
    return parse_mount(text, context.cwd)


def _join_published(published: Sequence[Sequence[PortRequest]]) -> tuple[PortRequest, ...]:
    flat = tuple(one for several in published for one in several)
    check_conflicts(flat)
    return flat


CONTAINER = (
    Option(
        name="env",
        letter="e",
        kind=Kind.REPEATED,
        metavar="NAME[=VALUE]",
        help="Set an environment variable of the container",
        text="""\
As in docker run. ``NAME`` alone passes on the variable from hanoverd's own environment; if it is not set there, the
container does not get the image's value either. VALUE is not expanded. If a NAME is given several times, the last one
counts. You can override the variables that hanoverd sets (``HANOVERD_IMAGE`` and so on). VALUE is hidden in the list
of processes.""",
        value=Value(_read_variable, join=last_of_each_name),
        place="container.env",
        secret=Secret.AFTER_EQUALS,
    ),
    Option(
        name="volume",
        letter="v",
        kind=Kind.REPEATED,
        metavar="[SOURCE:]TARGET[:MODE]",
        help="Mount a folder of the host, or a volume",
        text="""\
As in docker run. A SOURCE that starts with ``/`` or ``.`` is a folder; any other SOURCE is the name of a volume. The
versions that run side by side share both. Without SOURCE each version gets a new, empty volume, which is removed with
it. MODE is a comma-separated list of ``ro`` or ``rw``, ``z`` or ``Z``, ``[r]private``, ``[r]shared`` or
``[r]slave``, and ``nocopy``.""",
        value=Value(_read_volume, is_late=True, join=Volumes.of),
        place="container.volumes",
    ),
    Option(
        name="mount",
        kind=Kind.REPEATED,
        metavar="KEY=VALUE,...",
        help="Mount a folder, a volume, an image or a tmpfs",
        text="""\
As in docker run: ``type=bind,source=/srv/data,target=/data,readonly``. A source that starts with ``.`` is relative to
the current folder. The versions that run side by side share the source.""",
        value=Value(_read_mount, join=list),
        request="HostConfig.Mounts",
    ),
    Option(
        name="publish",
        letter="p",
        kind=Kind.REPEATED,
        metavar="[HOSTIP:][HOSTPORT:]PORT[/tcp]",
        help="Publish a container's port on the host",
        text="""\
As in docker run: ``8080:80``, ``127.0.0.1:8080:80``, ``8080-8082:80-82`` (three ports), ``8080-8090:80`` (one free
port of these), ``80`` (any free port), ``published=8080,target=80``. hanoverd holds the host port while it runs. A
port that hanoverd picks stays the same for all versions. New connections go to the new version when it is ready. The
image does not have to EXPOSE the port. Only TCP over IPv4 is supported so far.""",
        value=replace(plain(parse_publish, is_late=True), join=_join_published),
        place="ports",
    ),
    Option(
        name="init",
        kind=Kind.BOOLEAN,
        help="Run an init in the container that forwards signals and reaps processes",
        value=BOOLEAN,
        request="HostConfig.Init",
    ),
    Option(
        name="stop-timeout",
        metavar="SECONDS",
        help="Time between the stop signal and the kill (default: 10 seconds)",
        text="Whole seconds (``30``) or a duration of whole seconds (``1m``); ``-1`` sets no limit.",
        value=WHOLE_SECONDS,
        request="StopTimeout",
    ),
    Option(
        name="stop-signal",
        metavar="SIGNAL",
        help="Signal that stops the container (default: the image's, else SIGTERM)",
        value=SIGNAL,
        request="StopSignal",
    ),
)
