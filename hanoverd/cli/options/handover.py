"""The options of the app and its handovers: drain, restarts, what is kept, and notifications."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import (
    BOOLEAN,
    CATCHABLE_SIGNAL,
    DURATION,
    POSITIVE_DURATION,
    SECRET_FILE,
    WEB_HOOK,
    number,
    one_of,
    plain,
)
from hanoverd.spec.names import check_app_name
from hanoverd.spec.notifications import FORMATS, JSON, parse_hook
from hanoverd.spec.restart import check_restart, parse_restart
from hanoverd.spec.retention import ON_EXIT

HANDOVER = (
    Option(
        name="name",
        metavar="NAME",
        help="Name of the app (default: from the folder or the image)",
        text="""\
Containers and their hostnames are called NAME-N, where N is the number of the version. On one host, one hanoverd at a
time serves the app of a name. The default is the name of the current folder, or the last part of the image's
repository.""",
        value=plain(check_app_name, is_late=True),
        place="name",
    ),
    Option(
        name="obtain-timeout",
        metavar="DURATION",
        default="30m",
        help="Maximum time to build, pull or load an image",
        text="If it takes longer, the build or pull is cancelled and the handover fails.",
        value=POSITIVE_DURATION,
        place="handover.obtain_timeout",
    ),
    Option(
        name="disable-overlap",
        kind=Kind.BOOLEAN,
        help="Stop the old version before the new one starts",
        text="""\
For an app of which only one version may run at a time. The image is obtained and the container is created first, so
that the interruption is short. If the new version fails, the old one is started again.""",
        value=BOOLEAN,
        place="handover.stop_first",
    ),
    Option(
        name="if-changed",
        kind=Kind.BOOLEAN,
        help="Skip a handover that would change neither image nor settings",
        text="""\
It holds for SIGHUP, messages of hookbot, and the start of hanoverd beside a version that it takes over. The image is
obtained first. If the live version has the same image ID and settings, and is ready, the log has the
event ``unchanged``, and nothing else happens. ``hanoverd deploy`` has an option of its own.""",
        value=BOOLEAN,
        place="handover.if_changed",
    ),
    Option(
        name="overlap-grace-duration",
        metavar="DURATION",
        default="1s",
        help="Minimum time that a replaced version keeps running",
        text="It starts when the new version goes live. The version runs that long even without connections.",
        value=DURATION,
        place="handover.drain.grace",
    ),
    Option(
        name="drain-timeout",
        metavar="DURATION",
        default="30s",
        help="Maximum time for a replaced version to finish its connections",
        text="""\
A replaced version is stopped when its last connection closes, or after this time. Without the program ``conntrack``
connections cannot be counted, and the version always runs for the whole time.""",
        value=DURATION,
        place="handover.drain.timeout",
    ),
    Option(
        name="udp-drain",
        metavar="DURATION",
        help="Time for which a replaced version keeps its UDP flows (default: until its drain ends)",
        text="""\
A UDP flow is what comes from one port of a client. Clients that keep their port, such as QUIC clients, stay with the
version that answered them until it has drained, and then move to the live version. With ``0s`` they move within a second
of the handover, and the old version does not wait for them. It needs the program ``conntrack``.""",
        value=DURATION,
        place="handover.drain.udp",
    ),
    Option(
        name="drain-signal",
        metavar="SIGNAL",
        help="Signal to send to a version when it is replaced (default: none)",
        text="""\
An app that answers with ``Connection: close`` after this signal loses no request of a client that keeps connections
open.""",
        value=CATCHABLE_SIGNAL,
        place="handover.drain.signal",
    ),
    Option(
        name="restart",
        metavar="no|always|unless-stopped|on-failure[:N]",
        default="always",
        help="Restart policy when the live version exits",
        text="""\
As in docker run. A restart is a new version of the same image, which has to become ready like any other. The first
restart comes after 100 ms; the wait doubles each time, up to a minute, and starts at 100 ms again after a version was
live for 10 s. Meanwhile a version that is still draining serves. ``unless-stopped`` is the same as ``always``.""",
        value=replace(plain(parse_restart, is_late=True), engine=check_restart),
        place="restart",
    ),
    Option(
        name="settle",
        metavar="DURATION",
        default="0s",
        help="Time to keep the replaced version running, to go back to it on failure",
        text="""\
If the new version exits, or fails its ``--watch``, within this time after it goes live, the version that it replaced
becomes live again at once. Nothing else is tried until the next trigger.""",
        value=DURATION,
        place="handover.settle",
    ),
    Option(
        name="on-exit",
        metavar="stop|keep",
        default="stop",
        help="What happens to the live version when hanoverd stops",
        text="""\
``stop`` removes the firewall rules and stops the version. ``keep`` keeps both, so that a restart or an upgrade of
hanoverd interrupts no request: the next start with the same ``--name`` takes over the version.""",
        value=one_of(ON_EXIT),
        place="retention.on_exit",
    ),
    Option(
        name="keep-versions",
        metavar="N",
        default="3",
        help="Number of earlier versions to keep for a rollback",
        text="""\
``hanoverd rollback`` goes back to them, one version further each time; ``hanoverd versions`` lists them. First come the
versions that were live before the live one, if their image or settings differ, then versions that were rolled back from.
Their containers are stopped and called NAME-N-kept. Images of older versions are removed if hanoverd obtained them, no
other container uses them and they have no other name. A stop removes the kept containers, unless ``--on-exit`` is
``keep``.""",
        value=number(0),
        place="retention.versions",
    ),
    Option(
        name="hook",
        kind=Kind.REPEATED,
        metavar="EVENT=COMMAND",
        help="Run a shell command at obtained, ready, live, failed, drained or died",
        text="""\
The environment has HANOVERD_EVENT, HANOVERD_APP, HANOVERD_NEW (the container of the version), HANOVERD_OLD (the
container of the version that was live before), HANOVERD_NEW_ID, HANOVERD_OLD_ID, HANOVERD_IMAGE, HANOVERD_IMAGE_ID and
HANOVERD_REASON. The output is logged. A command that runs for more than 60 s is ended. hanoverd waits only for the
command of ``ready``: if it fails, the new version does not go live.""",
        value=plain(parse_hook, is_late=True),
        place="notifications.hooks",
        secret=Secret.AFTER_EQUALS,
    ),
    Option(
        name="notify",
        kind=Kind.REPEATED,
        metavar="URL",
        help="Post each event to a webhook, as JSON",
        text="""\
The keys are ``event``, ``app``, ``new``, ``new_id``, ``old``, ``old_id``, ``image``, ``image_id`` and ``reason``. A
post is tried five times; a handover does not wait for it.""",
        value=WEB_HOOK,
        place="notifications.urls",
        secret=Secret.ALL,
    ),
    Option(
        name="notify-format",
        metavar="json|slack",
        default=JSON,
        help="Format of the posts of --notify",
        text="""\
``slack`` posts ``{"text": ...}``, a message for people, to incoming webhooks of Slack, and of others that take the same,
such as Mattermost.""",
        value=one_of(FORMATS),
        place="notifications.format",
    ),
    Option(
        name="notify-secret-file",
        metavar="FILE",
        help="Secret that signs the posts of --notify (or HANOVERD_NOTIFY_SECRET)",
        text="""\
Each post then has the header ``X-Hanoverd-Signature-256``: ``sha256=`` and the HMAC-SHA256 of its body, as in GitHub's
webhooks. The file is read once, at the start; newlines at its end do not count.""",
        value=SECRET_FILE,
    ),
)
