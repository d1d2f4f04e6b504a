"""The events of the log: what programs can rely on, whatever the wording of the messages.

Each line of ``--log-format json`` is an object with ``time``, ``level``, ``event``, ``message`` and the fields that the table
names.  Lines without an event of their own, as warnings of a library, have the event ``other``.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a version printed: the one event that is the app's, not hanoverd's.
OUTPUT = "output"

#: What a hook printed.
HOOK_OUTPUT = "hook_output"

#: The beginning of a stop of hanoverd.
STOPPING = "stopping"

#: The end of a handover.
ENDED = "handover_ended"

#: What a field holds, wherever it appears.
FIELDS = {
    "action": "what a user has asked for: ``deploy``, ``rollback``, ``cancel``, ``pause`` or ``resume``",
    "address": "an IP address, or an address to listen at",
    "app": "the name of the app",
    "aside": "the new name of a damaged file",
    "code": "an exit code",
    "connections": "how many connections were still open; null: unknown",
    "container": "the ID of a container, or its name",
    "count": "how many there are, or how many there were so far",
    "drain_seconds": "how long a version drained, in seconds",
    "error": "the message of an error",
    "target": "the version that a rollback returns to",
    "folder": "a folder",
    "handover": "the number of a handover, as `hanoverd history` lists it",
    "holder": "a process, in words",
    "hook": "the event of a hook, as --hook names it",
    "image": "the name of an image",
    "image_id": "the ID of an image",
    "line": "a line that a program printed",
    "limit": "how many are allowed",
    "number": "the number of a version",
    "outcome": "how a handover ended: ``live``, ``failed``, ``cancelled`` or ``unchanged``",
    "output": "the last lines that a version printed",
    "path": "a file",
    "position": "which of the hooks of an event, counted from 1",
    "peer": "the address of a client",
    "pid": "the ID of this process",
    "reason": "why it happened",
    "reasons": "what triggered it: a list",
    "record": "a handover, as an object of `hanoverd history --format json`",
    "restart_seconds": "the time until the next start, in seconds; null: not started again",
    "retry_seconds": "the time until the next try, in seconds; null: not tried again",
    "revision": "a commit",
    "routes": "host ports and where they lead, as text",
    "seconds": "how long it took, in seconds",
    "serving": "the version that serves; null: none",
    "size": "a size in bytes",
    "source": "what an image is obtained from",
    "stop_seconds": "how long a version took to stop, in seconds",
    "successor": "the version that takes the place of another; null: none",
    "topic": "a topic of hookbot",
    "took": "how long it took, as text",
    "url": "a URL, without its secrets",
    "version": "the version that it is about: the name of its container, APP-N",
}


@dataclass(frozen=True)
class LogKind:
    """One kind of event: its ``id``, what it means, and its fields."""

    id: str
    meaning: str
    fields: frozenset[str]


def _kind(name: str, fields: str, meaning: str) -> LogKind:
    return LogKind(name, meaning, frozenset(fields.split()))


EVENTS = (
    # A handover, and the life of a version.
    _kind("trigger", "app handover reasons", "A handover starts, or starts again after the engine was lost."),
    _kind("held", "app reason", "A trigger waits, because hanoverd is paused."),
    _kind("obtaining", "version handover source", "The image is built, pulled or loaded."),
    _kind("obtained", "version handover image image_id seconds took", "The image is there."),
    _kind("rollback", "version handover target image image_id seconds took", "The version repeats an earlier one."),
    _kind("image_missing", "version error", "The image of a restart was removed, and is obtained again."),
    _kind("name_taken", "version successor", "Another container has a new version's name: the number is skipped."),
    _kind("created", "version handover seconds took", "The container is created."),
    _kind("started", "version handover address seconds took", "The container is started."),
    _kind("ready", "version handover seconds took", "The version passed its readiness check."),
    _kind("routed", "version handover seconds took", "New connections are routed to the version."),
    _kind("live", "version routes seconds took", "The version serves; the time is that since the trigger."),
    _kind("cancelled", "app handover reason", "A handover was cancelled before its version was live."),
    _kind(
        "unchanged",
        "version handover image image_id",
        "A handover was skipped: the live version has this image and these settings already.",
    ),
    _kind(
        "unchanged_unready",
        "version reason",
        "A handover would change nothing, and is carried out: the live version is not ready.",
    ),
    _kind("failed", "version handover error", "A handover failed: its version did not go live."),
    _kind(
        ENDED,
        "app handover outcome record",
        "A handover has ended. This event is only in the stream of events, not in the log, which has the events before it.",
    ),
    _kind("waiting", "app serving restart_seconds", "After a failure: hanoverd waits for the next trigger."),
    _kind(
        "start_failed", "app", "No image could be obtained and no version is live: hanoverd stops with exit status 1."
    ),
    _kind("restarting", "app serving restart_seconds", "After a failure: the same image is started again."),
    _kind("exited", "version code reason output successor restart_seconds", "A live version exited."),
    _kind("unhealthy", "version count limit reason", "A live version failed its liveness check."),
    _kind("replacing", "version reason restart_seconds", "A live version is unhealthy, and is replaced."),
    _kind("rolled_back", "version successor reason", "A version did not settle: the one before is live again."),
    _kind("reinstated", "version", "A version that was live before is live again."),
    _kind("reinstate_failed", "version error retry_seconds", "A version could not be made live again."),
    _kind("drain_signal_failed", "version error", "The drain signal could not be sent."),
    _kind("drain_ended", "version", "The rest of the connections is not waited for."),
    _kind("drain_failed", "version error", "The connections of a version cannot be waited for."),
    _kind("draining", "version", "A replaced version finishes its connections."),
    _kind("drained", "version connections seconds took", "Its connections are finished, or the drain timeout is over."),
    _kind("stopped", "version successor seconds took", "A version is stopped; with a successor: to make room for it."),
    _kind("killed", "version", "A version did not stop in time."),
    _kind("stop_failed", "version error", "A version could not be stopped."),
    _kind("removed", "version connections drain_seconds stop_seconds", "A replaced version is gone."),
    _kind("kept", "version connections drain_seconds stop_seconds", "A replaced version is kept for a rollback."),
    _kind("pruned", "version", "A kept version is removed: it equals the live one, or newer ones are enough."),
    _kind("keep_failed", "version error", "A version cannot be kept for a rollback."),
    _kind("remove_failed", "version container error", "A container could not be removed."),
    # What a version prints.
    _kind(OUTPUT, "version line", "A version printed a line."),
    _kind("output_dropped", "version count", "A version prints more than is logged: so many lines were dropped."),
    _kind("output_interrupted", "version error", "The output of a version is not shown for now."),
    _kind("output_unavailable", "version error", "The output of a version cannot be shown."),
    # What an earlier run left.
    _kind("adopted", "version", "A version of an earlier run serves, and is live."),
    _kind("adopted_unready", "version error", "A version of an earlier run serves, but is not ready."),
    _kind("adopted_draining", "version", "A version of an earlier run is drained and stopped."),
    _kind("not_adopted", "version error", "A version of an earlier run cannot be used."),
    _kind("leftover", "version", "A container of an earlier run is removed."),
    _kind("adoption_failed", "app error retry_seconds", "What an earlier run left cannot be taken over for now."),
    # The daemon.
    _kind("cidfile_not_written", "app path error", "The file of --cidfile could not be replaced or removed."),
    _kind("running", "app pid", "hanoverd runs."),
    _kind("paused", "app", "Triggers are held."),
    _kind("resumed", "app", "Triggers are no longer held."),
    _kind(
        "name_held", "app reason", "A user who may not use the engine holds the app's socket name, which is ignored."
    ),
    _kind("pause_ignored", "path error", "A file that says that hanoverd is paused belongs to another user."),
    _kind("pause_not_saved", "path error", "A restart of hanoverd will forget whether it is paused."),
    _kind("numbers_unreadable", "path reason", "The file with the next version's number cannot be read."),
    _kind("numbers_behind", "path number", "Containers have higher numbers than the file says."),
    _kind("numbers_not_saved", "path reason", "The next version's number cannot be saved."),
    _kind(STOPPING, "app reason", "hanoverd stops."),
    _kind("killing", "app reason", "A second signal: what has not stopped is killed."),
    _kind("left_running", "app version", "hanoverd stops, and its live version keeps serving."),
    _kind("sweep_failed", "app error", "hanoverd stops, and cannot check that nothing is left."),
    _kind("ended", "app", "hanoverd has stopped."),
    _kind("internal_error", "app version", "A mistake in hanoverd: please report it."),
    # The engine and images.
    _kind("engine_waiting", "error", "The engine does not answer; hanoverd tries again."),
    _kind("engine_lost", "app error", "The engine went away during a handover, which starts again."),
    _kind("engine_failed", "app error", "The engine answers with an error."),
    _kind("options_not_asked", "app error", "The engine was not asked at the start whether it takes the options."),
    _kind("registry_busy", "image error retry_seconds", "A registry limits requests; hanoverd tries again."),
    _kind("commit_refused", "error revision", "A trigger names a commit that is not deployed; another one is."),
    _kind("lock_waiting", "path seconds took holder", "Another process holds the lock of a repository's copy."),
    _kind("image_removed", "app image image_id", "An image that is not needed is removed."),
    _kind("tidy_failed", "app error", "Old versions or images could not be removed."),
    # The network.
    _kind("clients_blocked", "app reason", "The host keeps clients on other machines from the published ports."),
    _kind("clients_unblocked", "app", "The host forwards packets again, so clients on other machines can connect."),
    _kind("repaired", "reason count", "Another program changed the firewall; the rules are repaired."),
    _kind("repair_failed", "error", "The rules cannot be checked."),
    _kind("routes_removed", "version address", "Rules of an earlier run led to a version that is not there."),
    _kind("routes_failed", "app error", "The rules could not be removed."),
    _kind("conntrack_unavailable", "reason", "Connections cannot be counted on this host."),
    _kind("count_failed", "reason", "Connections could not be counted this time."),
    _kind("connections_not_forgotten", "address error", "Connections to an old version were not deleted."),
    _kind("udp_flows_not_moved", "reason", "UDP flows of replaced versions could not be moved to the live one."),
    _kind("no_ipv6", "app", "The host has no IPv6: the ports are published over IPv4 only."),
    _kind("no_ipv6_rules", "reason", "There are no firewall rules for IPv6; hanoverd relays these clients itself."),
    _kind("no_passage", "reason", "Containers on other Docker networks cannot reach the published ports."),
    _kind("relay_failed", "address reason", "Connections or datagrams cannot be relayed for now."),
    _kind("relay_full", "reason count", "The limit for relayed connections is reached; other clients wait."),
    _kind("ports_not_remembered", "path reason", "The host ports that were picked could not be read or saved."),
    _kind(
        "history_unsaved", "path folder reason", "The history of handovers cannot be read or saved; it stays in memory."
    ),
    _kind("history_saved", "path", "The history of handovers is saved again."),
    _kind(
        "history_damaged",
        "path aside reason",
        "The file of the history was damaged: it is renamed, and a new one started.",
    ),
    _kind("history_lost", "path count", "hanoverd stops, and could not save the last handovers."),
    # Hooks and notifications.
    _kind(HOOK_OUTPUT, "hook position line", "A hook printed a line."),
    _kind("hook_output_dropped", "hook position count", "A hook prints too much: so many lines were dropped."),
    _kind("hook_failed", "hook position error", "A hook failed."),
    _kind("hook_skipped", "hook position count", "A hook was not run: too many are running."),
    _kind("notify_failed", "hook url error count", "An event could not be posted."),
    _kind("notify_skipped", "hook url count", "An event was not posted: too many requests are unanswered."),
    _kind("notify_dropped", "url count", "hanoverd stops; notifications were not delivered."),
    _kind("hooks_killed", "count", "hanoverd stops; commands of hooks were killed."),
    _kind("hooks_closing", "count", "hanoverd stops, and waits for unfinished hooks and requests."),
    # Hookbot.
    _kind("hookbot_connected", "url", "hanoverd listens to hookbot."),
    _kind("hookbot_lost", "url reason", "The connection to hookbot is lost; hanoverd tries again."),
    _kind("hookbot_message_dropped", "url error size", "A message of hookbot was dropped."),
    _kind("hookbot_messages_skipped", "url count", "Messages of hookbot arrived too fast: the newest counts."),
    _kind("hookbot_missed", "source", "What was pushed while hookbot was away is unknown."),
    _kind("hookbot_check_failed", "source error", "The source could not be asked for what was missed."),
    _kind("hookbot_serving", "address", "The hookbot server listens."),
    _kind(
        "listener_dropped", "peer reason", "The hookbot server dropped a listener that is too slow or sends too much."
    ),
    _kind("push_routed", "topic", "The hookbot server published a push."),
    _kind("webhook_dropped", "error", "The hookbot server refused a webhook."),
    _kind("connection_dropped", "peer reason", "The hookbot server has too many connections, and dropped one."),
    # The page in the browser.
    _kind("page_serving", "url", "The page listens."),
    _kind("page_login", "peer", "A user has logged in to the page."),
    _kind("page_login_refused", "peer", "A wrong token was sent to the page."),
    _kind("page_action", "app action peer", "A user has used a button of the page."),
    _kind("page_search_failed", "error", "The page cannot search for the sockets of running hanoverds."),
    _kind("page_failed", "error", "A request to the page failed."),
    _kind("page_open", "url", "Every user of this host can change apps on the page, because no login is required."),
    _kind("page_stopping", "reason", "The page stops."),
    _kind("page_ended", "", "The page has stopped."),
    # The builder.
    _kind("build", "reasons", "A build starts."),
    _kind("build_obtaining", "source", "The image is built or pulled."),
    _kind("build_running", "reason", "A message names the commit that the builder is building already."),
    _kind("pushed", "image image_id seconds took", "The image is pushed, and hookbot is notified."),
    _kind("build_cancelled", "", "A build was cancelled."),
    _kind("build_failed", "error", "A build failed."),
    _kind("build_waiting", "", "The next message is waited for."),
    _kind("builder_stopping", "reason", "The builder stops."),
    _kind("builder_ended", "", "The builder has stopped."),
)

#: What a client of the stream of events gets in the place of events that are no longer there.
MISSED = _kind(
    "missed",
    "count reason",
    "Events are missing, because the client read too slowly, or was away for too long, or because hanoverd was started "
    "again; null: how many is not known. This event is only in the stream of events.",
)

#: The events that are logged for the stream only: the log has no line for them.
STREAMED = frozenset({ENDED})

_FIELDS_OF = {kind.id: kind.fields for kind in (*EVENTS, MISSED)}


def is_field(event: str, name: str) -> bool:
    """Whether programs get the value ``name`` of an event; anything goes for an event of a plugin's own."""
    fields = _FIELDS_OF.get(event)
    return fields is None or name in fields
