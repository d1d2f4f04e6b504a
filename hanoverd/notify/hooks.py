"""The user's own commands, and web hooks, at the events of an app's life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import TimedOut, settles_within, within
from hanoverd.runtime.errors import HanoverdError, VersionFailed
from hanoverd.runtime.posting import post_event, shown
from hanoverd.runtime.processes import Ended, run
from hanoverd.runtime.tasks import Tasks
from hanoverd.spec.events import Event
from hanoverd.text.durations import format_duration

log = Logger()

#: How long a command may take, in seconds.
HOOK_WITHIN = 60.0

#: How long the end of the daemon is held up by commands and web hooks, in seconds.
CLOSES_WITHIN = 5.0

#: The waits between the attempts to post to a web hook, and the number of attempts.
BACKOFF, ATTEMPTS = Backoff(first=1.0, longest=30.0), 5

#: How many commands may be under way, and how many requests to web hooks: one that is slow, or an address that does not
#: answer, must not fill the memory; and neither kind may keep the other from being notified.
MOST_COMMANDS = MOST_REQUESTS = 100


@dataclass(frozen=True)
class Hook:
    """A shell command for one kind of event."""

    event: str
    command: str


class Hooks:
    """Runs ``hooks`` and posts to ``urls``."""

    def __init__(
        self, reactor: Any, environ: Mapping[str, str], hooks: Sequence[Hook] = (), urls: Sequence[str] = ()
    ) -> None:
        self._reactor = reactor
        self._environ = environ
        self._hooks = hooks
        self._urls = urls
        self._commands = Tasks()
        self._requests = Tasks()

    def tell(self, event: Event) -> None:
        """Start the commands for ``event`` and post it to the web hooks; a failure is logged only."""
        for hook in self._hooks:
            if hook.event == event.kind:
                if len(self._commands) < MOST_COMMANDS:
                    self._commands.start(self._run_and_log(hook, event))
                else:
                    log.error(
                        "the hook {command} for {hook} was not run: {count} commands are still running",
                        event="hook_skipped",
                        hook=event.kind,
                        command=hook.command,
                        count=len(self._commands),
                    )
        self._post_to_all(event)

    async def ask(self, event: Event) -> None:
        """As ``tell``, but wait for the commands: one that fails rejects the version.

        Fails with ``VersionFailed`` then.  Cancel ends the command.
        """
        self._post_to_all(event)
        for hook in self._hooks:
            if hook.event == event.kind:
                failure = await self._run(hook, event)
                if failure is not None:
                    raise VersionFailed(
                        f"{event.new.name} failed: the hook {hook.command!r} rejected the version: {failure}"
                    )

    async def close(self) -> None:
        """Wait a moment for what is under way, then end it; fires when nothing is left.  Ignores cancellation."""
        await shielded(Deferred.fromCoroutine(self._close()))

    async def _close(self) -> None:
        all_done = Outcome(Deferred.fromCoroutine(self._settled()))
        if not await settles_within(self._reactor, CLOSES_WITHIN, all_done):
            self._commands.cancel()
            self._requests.cancel()
            await all_done.wait()

    async def _settled(self) -> None:
        await self._commands.settled()
        await self._requests.settled()

    async def _run_and_log(self, hook: Hook, event: Event) -> None:
        failure = await self._run(hook, event)
        if failure is not None:
            log.error(
                "the hook {command} for {hook} failed: {error}",
                event="hook_failed",
                hook=event.kind,
                command=hook.command,
                error=failure,
            )

    async def _run(self, hook: Hook, event: Event) -> str | None:
        """Run it to its end, its output logged; returns why it failed, None if it did not."""
        work: Deferred[Ended] = Deferred.fromCoroutine(
            run(
                self._reactor,
                ["sh", "-c", hook.command],
                {**self._environ, **event.environment()},
                on_line=lambda line: log.info("hook {hook}: {line}", event="hook_output", hook=event.kind, line=line),
                with_children=True,
            )
        )
        try:
            ended = await within(self._reactor, HOOK_WITHIN, work)
        except TimedOut:
            return f"killed: it did not end within {format_duration(HOOK_WITHIN)}"
        except HanoverdError as error:
            return str(error)
        return _failure(ended.code)

    def _post_to_all(self, event: Event) -> None:
        for url in self._urls:
            if len(self._requests) < MOST_REQUESTS:
                self._requests.start(self._post(url, event))
            else:
                log.error(
                    "{hook} was not posted to {url}: {count} requests are still unanswered",
                    event="notify_skipped",
                    hook=event.kind,
                    url=shown(url),
                    count=len(self._requests),
                )

    async def _post(self, url: str, event: Event) -> None:
        try:
            await retry(
                self._reactor,
                BACKOFF,
                lambda: post_event(self._reactor, url, event.json()),
                on=HanoverdError,
                attempts=ATTEMPTS,
            )
        except HanoverdError as error:
            log.error(
                "{error}; given up after {count} tries",
                event="notify_failed",
                hook=event.kind,
                url=shown(url),
                error=error,
                count=ATTEMPTS,
            )


def _failure(code: int) -> str | None:
    if code < 0:
        return f"ended by signal {-code}"
    return f"exit status {code}" if code else None
