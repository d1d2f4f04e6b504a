"""Where the log goes: as twistd's own options say, in the format that ``--log-format`` says."""

from __future__ import annotations

import os
import signal
import sys
import syslog
from collections.abc import Mapping
from functools import partial
from io import TextIOWrapper
from typing import IO, Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import FileLogObserver, ILogObserver, LogEvent
from twisted.python.logfile import LogFile
from zope.interface import implementer

from hanoverd.logs.formats import (
    JSON,
    Format,
    as_journal_json,
    as_json,
    for_file,
    for_journal,
    for_syslog,
    for_terminal,
    is_noise,
    priority_of,
)

#: twistd's own default.
_DEFAULT_FILE = "twistd.log"


def open_log(
    twistd: Mapping[str, Any], log_format: str, environ: Mapping[str, str], reactor: IReactorFromThreads
) -> ILogObserver:
    """Return the observer for what twistd's options ``--logfile``, ``--syslog``, ``--prefix`` and ``--nodaemon`` say.

    twistd's own observer has one format, so this takes its place; its ``--logger`` still comes first.  A file is rotated
    when it is large, and at SIGUSR1.
    """
    if twistd.get("syslog"):
        return Syslog(twistd.get("prefix") or "", as_journal_json if log_format == JSON else for_syslog)
    path, is_foreground = twistd.get("logfile"), twistd.get("nodaemon")
    if path == "-" and not is_foreground:
        sys.exit("Daemons cannot log to stdout, exiting!")
    if path == "-" or (is_foreground and not path):
        return to_stream(sys.stdout, log_format, environ)
    file = LogFile.fromFullPath(path or _DEFAULT_FILE)
    if signal.getsignal(signal.SIGUSR1) in (None, signal.SIG_DFL):
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))
    return _observer(file, as_json if log_format == JSON else for_file)


def to_stream(stream: IO[str], log_format: str, environ: Mapping[str, str]) -> ILogObserver:
    """Return the observer that writes to standard output: a terminal, the journal, or a file or pipe."""
    if log_format == JSON:
        return _observer(stream, as_journal_json if _is_journal(stream, environ) else as_json)
    if isinstance(stream, TextIOWrapper):
        # What a container prints is no reason for an error, whatever the encoding of the locale.
        stream.reconfigure(errors="backslashreplace")
    if stream.isatty():
        return _observer(stream, partial(for_terminal, colour=_has_colour(environ)))
    return _observer(stream, for_journal if _is_journal(stream, environ) else for_file)


def _has_colour(environ: Mapping[str, str]) -> bool:
    """Whether a terminal shows colours, and the user wants them (no-color.org)."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def _is_journal(stream: IO[str], environ: Mapping[str, str]) -> bool:
    """Whether it is the stream that systemd connected to its journal (systemd.exec(5), JOURNAL_STREAM)."""
    journal = environ.get("JOURNAL_STREAM")
    if not journal:
        return False
    found = os.fstat(stream.fileno())
    return journal == f"{found.st_dev}:{found.st_ino}"


@implementer(ILogObserver)
class Syslog:
    """Writes to syslog: it adds the time, and takes the level."""

    def __init__(self, prefix: str, line_of: Format) -> None:
        syslog.openlog(prefix)
        self._line_of = line_of

    def __call__(self, event: LogEvent) -> None:
        """Write an event, one line at a time."""
        if not is_noise(event):
            for line in self._line_of(event).split("\n"):
                syslog.syslog(priority_of(event), line)


def _observer(file: Any, line_of: Format) -> ILogObserver:
    return FileLogObserver(file, lambda event: None if is_noise(event) else f"{line_of(event)}\n")
