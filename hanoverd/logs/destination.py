"""Where the log goes: as twistd's own options say, in the format that ``--log-format`` says."""

from __future__ import annotations

import signal
import sys
import syslog
from collections.abc import Mapping
from typing import IO, Any

from twisted.internet.interfaces import IReactorFromThreads
from twisted.logger import FileLogObserver, ILogObserver, LogEvent, LogLevel
from twisted.python.logfile import LogFile
from zope.interface import implementer

from hanoverd.logs.formats import JSON, Format, as_json, is_noise, text_of, timestamp

#: twistd's own default.
_DEFAULT_FILE = "twistd.log"


def open_log(twistd: Mapping[str, Any], log_format: str, reactor: IReactorFromThreads) -> ILogObserver:
    """Return the observer for what twistd's options ``--logfile``, ``--syslog``, ``--prefix`` and ``--nodaemon`` say.

    twistd's own observer has one format, so this takes its place; its ``--logger`` still comes first.  A file is rotated
    when it is large, and at SIGUSR1.
    """
    if twistd.get("syslog"):
        return Syslog(twistd.get("prefix") or "", as_json if log_format == JSON else text_of)
    path, is_foreground = twistd.get("logfile"), twistd.get("nodaemon")
    if path == "-" and not is_foreground:
        sys.exit("Daemons cannot log to stdout, exiting!")
    if path == "-" or (is_foreground and not path):
        return to_stream(sys.stdout, log_format)
    file = LogFile.fromFullPath(path or _DEFAULT_FILE)
    if signal.getsignal(signal.SIGUSR1) in (None, signal.SIG_DFL):
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(file.rotate))
    return _observer(file, as_json if log_format == JSON else _in_file)


def to_stream(stream: IO[str], log_format: str) -> ILogObserver:
    """Return the observer that writes to standard output."""
    return _observer(stream, as_json if log_format == JSON else _in_file)


@implementer(ILogObserver)
class Syslog:
    """Writes to syslog: it adds the time, and takes the level."""

    def __init__(self, prefix: str, line_of: Format) -> None:
        syslog.openlog(prefix)
        self._line_of = line_of

    def __call__(self, event: LogEvent) -> None:
        """Write an event, one line at a time."""
        if not is_noise(event):
            priority = _PRIORITIES.get(event.get("log_level", LogLevel.info), syslog.LOG_INFO)
            for line in self._line_of(event).splitlines():
                syslog.syslog(priority, line)


_PRIORITIES = {
    LogLevel.warn: syslog.LOG_WARNING,
    LogLevel.error: syslog.LOG_ERR,
    LogLevel.critical: syslog.LOG_CRIT,
}


def _observer(file: Any, line_of: Format) -> ILogObserver:
    return FileLogObserver(file, lambda event: None if is_noise(event) else f"{line_of(event)}\n")


def _in_file(event: LogEvent) -> str:
    return f"{timestamp(event)} {text_of(event)}"
