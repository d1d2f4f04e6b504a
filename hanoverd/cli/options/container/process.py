"""Options of the container's process, and of how it is run."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, FILE, SIGNAL, TEXT, WHOLE_SECONDS, plain, refused
from hanoverd.spec.run.streams import output_streams, parse_stream


def _check_workdir(path: str) -> None:
    if path and not path.startswith("/"):
        raise ValueError(f"the working directory '{path}' is invalid, it needs to be an absolute path")


PROCESS = (
    Option(
        name="attach",
        letter="a",
        kind=Kind.REPEATED,
        metavar="STREAM",
        help="Stream of each version that is logged: STDOUT or STDERR (default: both)",
        text="""\
The last lines in the message about a version that failed are of both streams in any case. With ``--tty``, all output is
STDOUT.""",
        value=plain(parse_stream, join=output_streams),
        place="streams",
    ),
    Option(
        name="cidfile",
        metavar="FILE",
        help="File that has the ID of the live version's container",
        text="""\
It is replaced in one step when another version goes live, and does not exist while no version is live. With
``--on-exit keep`` it remains. At the start, the file may be there if it names no container, or one of the app's.""",
        value=FILE,
        place="cidfile",
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
