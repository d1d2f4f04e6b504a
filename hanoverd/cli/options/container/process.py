"""Options of the container's process, and of how it is run."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, SIGNAL, TEXT, WHOLE_SECONDS, plain, refused
from hanoverd.spec.run.streams import parse_stream


def _check_workdir(path: str) -> None:
    if path and not path.startswith("/"):
        raise ValueError(f"the working directory '{path}' is invalid, it needs to be an absolute path")


PROCESS = (
    Option(
        name="attach",
        letter="a",
        kind=Kind.REPEATED,
        metavar="STREAM",
        help="Not supported yet: both streams of the output are logged",
        value=plain(parse_stream),
    ),
    Option(
        name="cidfile",
        metavar="FILE",
        help="Not supported yet: hanoverd status shows the ID of the live container",
    ),
    Option(
        name="detach",
        letter="d",
        kind=Kind.BOOLEAN,
        help="Does nothing: containers always run detached",
        value=BOOLEAN,
    ),
    Option(name="detach-keys", metavar="KEYS", help="Does nothing: no terminal is attached", value=TEXT),
    Option(
        name="entrypoint",
        metavar="COMMAND",
        help="Overwrite the image's ENTRYPOINT",
        text="One word, which is not split. An empty one resets it.",
        value=plain(lambda text: [text]),
        request="Entrypoint",
    ),
    Option(
        name="init",
        kind=Kind.BOOLEAN,
        help="Run an init in the container that forwards signals and reaps processes",
        value=BOOLEAN,
        request="HostConfig.Init",
    ),
    Option(
        name="interactive",
        letter="i",
        kind=Kind.BOOLEAN,
        help="Keep STDIN open; nothing is ever written to it",
        value=BOOLEAN,
        request="OpenStdin",
    ),
    Option(
        name="rm",
        kind=Kind.BOOLEAN,
        help="Does nothing: replaced versions are kept as --keep-versions says, then removed",
        value=BOOLEAN,
    ),
    Option(
        name="sig-proxy",
        kind=Kind.BOOLEAN,
        help="Does nothing: signals control hanoverd itself",
        value=BOOLEAN,
    ),
    Option(
        name="stop-signal",
        metavar="SIGNAL",
        help="Signal that stops the container (default: the image's, else SIGTERM)",
        value=SIGNAL,
        request="StopSignal",
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
        name="tty",
        letter="t",
        kind=Kind.BOOLEAN,
        help="Allocate a pseudo-TTY in the container",
        text="STDOUT and STDERR are then one stream.",
        value=BOOLEAN,
        request="Tty",
    ),
    Option(
        name="user",
        letter="u",
        metavar="NAME|UID[:GROUP|GID]",
        help="User that runs the process",
        request="User",
    ),
    Option(
        name="workdir",
        letter="w",
        metavar="FOLDER",
        help="Working directory inside the container",
        value=replace(TEXT, engine=_check_workdir),
        request="WorkingDir",
    ),
    Option(
        name="quiet",
        letter="q",
        kind=Kind.BOOLEAN,
        help="Suppress the progress of pulls",
        value=BOOLEAN,
    ),
    Option(
        name="disable-content-trust",
        kind=Kind.BOOLEAN,
        help="Does nothing: content trust is not supported",
        value=refused(BOOLEAN, "content trust is not supported", unless=True),
    ),
)
