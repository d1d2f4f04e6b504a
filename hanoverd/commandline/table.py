"""The one table of options: the command line, its help and the documentation all come from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One option.

    ``value`` names its value in the help, None for a switch; ``repeatable`` says whether it may be given several
    times; ``default`` is what its absence means, as it would be typed; ``help`` is one line, ``more`` the rest of what
    there is to know, for the documentation.
    """

    name: str
    help: str
    value: str | None = None
    short: str | None = None
    repeatable: bool = False
    default: str | None = None
    more: str = ""

    @property
    def spelled(self) -> str:
        """The option as messages name it: ``-e, --env``."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


OPTIONS: Sequence[Option] = (
    Option(
        "disable-overlap",
        "Stop the old version before the new one starts",
        more="For an app of which two must never run at once.  The image is obtained and the container created first; "
        "only then is the old version stopped, and it is started again if the new one fails.",
    ),
    Option(
        "drain-signal",
        "Signal sent to the old version at the flip",
        value="SIGNAL",
        more="A notice that no new connection will come.  An app that answers ``Connection: close`` from then on loses "
        "not one keep-alive connection under a request.  None is sent by default.",
    ),
    Option(
        "drain-timeout",
        "Longest time for the old version to end what it serves",
        value="DURATION",
        default="30s",
        more="After the flip the old version keeps the connections that it has.  It is stopped as soon as none is left, or "
        "when this time is over; the log then says how many were cut.",
    ),
    Option(
        "env",
        "Set an environment variable of the container",
        value="NAME[=VALUE]",
        short="e",
        repeatable=True,
        more="Without a value, the variable is passed on from hanoverd's own environment; one that is not set there is "
        "taken out of the image's.",
    ),
    Option("help", "Print this help and exit"),
    Option(
        "mount",
        "Attach a filesystem mount to the container",
        value="KEY=VALUE,...",
        repeatable=True,
        more="As for ``docker run``: ``type=bind,source=/srv/data,target=/data,readonly``.",
    ),
    Option(
        "name",
        "Name of the app",
        value="NAME",
        more="Its versions are the containers NAME-0, NAME-1, and so on, which are their hostnames too.  By default it "
        "is the name of the folder that is built, or the last part of the image's repository.",
    ),
    Option(
        "overlap-grace-duration",
        "Shortest time for the old version after the flip",
        value="DURATION",
        default="1s",
        more="The old version is not stopped earlier, even if it has no connection left.",
    ),
    Option(
        "publish",
        "Publish a port of the container",
        value="[HOSTIP:][HOSTPORT:]PORT",
        short="p",
        repeatable=True,
        more="As for ``docker run``, for TCP over IPv4.  Without HOSTPORT a free port is chosen at the start, and kept "
        "for all versions.  The image need not EXPOSE the port.",
    ),
    Option(
        "status-timeout",
        "Longest time for a new version to become ready, in all",
        value="DURATION",
        default="5m",
    ),
    Option(
        "status-uri",
        "Path that answers 200 when a version is ready",
        value="PATH",
        default="/",
        more="A version is ready when one of its published ports answers a GET request for this path with the status 200, "
        "and every other accepts a connection.  No redirect is followed.  With no port published, the exposed "
        "ports are asked.",
    ),
    Option(
        "stop-signal",
        "Signal to stop a version",
        value="SIGNAL",
        more="By default the image's own STOPSIGNAL, which is SIGTERM unless it says otherwise.",
    ),
    Option(
        "stop-timeout",
        "Time for a version to end after its stop signal, before it is killed",
        value="SECONDS",
        default="10",
        more="In seconds, or as a duration such as ``1m30s``; -1 waits for ever.",
    ),
    Option("version", "Print the version and exit"),
    Option(
        "volume",
        "Bind mount a folder, or mount a volume",
        value="[SOURCE:]TARGET[:MODE]",
        short="v",
        repeatable=True,
        more="As for ``docker run``.  Volumes are shared by the versions that overlap; one without a SOURCE is each "
        "version's own, and goes with it.",
    ),
)

#: What else decides: variables of hanoverd's environment.
ENVIRONMENT: Sequence[tuple[str, str]] = (
    ("DOCKER_HOST", "Address of the engine, such as unix:///var/run/docker.sock"),
    ("DOCKER_CONTEXT", "Name of the docker context to use instead"),
    ("DOCKER_CONFIG", "Folder of Docker's client configuration (~/.docker)"),
    ("DOCKER_CERT_PATH", "Folder of ca.pem, cert.pem and key.pem for TLS"),
    ("DOCKER_TLS_VERIFY", "Not empty: speak TLS, and verify the engine"),
)

SIGNALS: Sequence[tuple[str, str]] = (
    ("SIGHUP", "Hand over to a new version"),
    ("SIGTERM, SIGINT", "Stop; a second one kills what has not ended"),
)
