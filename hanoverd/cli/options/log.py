"""The options of a program's log."""

from __future__ import annotations

from hanoverd.cli.options.option import Option
from hanoverd.cli.options.values import one_of
from hanoverd.spec.log import LOG_FORMATS

LOG_FORMAT = Option(
    name="log-format",
    metavar="text|json",
    default="text",
    help="Format of the log: lines for people, or one JSON object per line",
    text="""\
An object has ``time``, ``level``, ``event``, ``message`` and the fields of the event. Options of twistd choose where
the log is written: standard output, a file with ``twistd --logfile FILE hanoverd ...``, or ``--syslog``.""",
    value=one_of(LOG_FORMATS),
    place="log_format",
)
