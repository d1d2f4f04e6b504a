"""Runs the user's commands and calls webhooks at the events of an app's life, which it observes in the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger, globalLogPublisher
from zope.interface import implementer

from hanoverd.notify.hook_command import HookCommand
from hanoverd.notify.posts import body_of, headers_of
from hanoverd.runtime.backoff import Backoff, retry
from hanoverd.runtime.cancellation import Outcome, shielded
from hanoverd.runtime.clock import settles_within
from hanoverd.runtime.errors import HanoverdError, VersionFailed
from hanoverd.runtime.posting import post_event, shown
from hanoverd.runtime.processes import ProcessReactor
from hanoverd.runtime.reactors import ClientReactor
from hanoverd.runtime.tasks import Tasks
from hanoverd.spec.events import LIFECYCLE, READY, Event
from hanoverd.spec.notifications import NotificationSpec
from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration

log = Logger()


class HookReactor(ProcessReactor, ClientReactor):
    """The parts of a reactor that run commands and call webhooks."""


@dataclass(frozen=True)
class HookLimits:
    """Limits of time, in seconds, and of numbers.

    A command is killed after ``command_timeout``. A request to a webhook is retried with ``backoff``, at most ``attempts``
    times in all. ``close`` waits ``close_timeout`` for unfinished commands and requests. At most ``commands`` commands and
    ``requests`` requests run at a time: a slow command, or an address that does not answer, must not use up the memory,
    and neither kind may delay the other.
    """

    command_timeout: float = 60.0
    close_timeout: float = 5.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first=1.0, longest=30.0))
    attempts: int = 5
    commands: int = 100
    requests: int = 100


@implementer(ILogObserver)
class Hooks:
    """Runs the commands of ``spec`` and posts to its webhooks, from ``start`` to ``close``, at what is logged.

    The commands for a version that is ready decide whether it goes live: they are a part of the handover, which calls
    ``require_approval``.
    """

    def __init__(
        self,
        reactor: HookReactor,
        environ: Mapping[str, str],
        spec: NotificationSpec,
        limits: HookLimits = HookLimits(),  # it is frozen
    ) -> None:
        self._reactor = reactor
        self._environ = environ
        self._spec = spec
        self._limits = limits
        self._commands = Tasks()
        self._requests = Tasks()
        #: How many notifications are on their way to each webhook.
        self._undelivered: Counter[str] = Counter()

    def start(self) -> None:
        """Observe the log."""
        globalLogPublisher.addObserver(self)

    def __call__(self, logged: LogEvent) -> None:
        """Report what is logged, if it is an event for hooks."""
        event = logged.get(LIFECYCLE)
        if event is None:
            return
        if event.kind != READY:
            self._run_all(event)
        self._post_to_all(event)

    def _run_all(self, event: Event) -> None:
        """Start the commands for ``event``. Failures are logged."""
        for command in self._commands_for(event):
            if len(self._commands) < self._limits.commands:
                self._commands.start(command.run_and_log(event))
            else:
                log.error(
                    "hook {name}: not run: {count} commands are still running",
                    event="hook_skipped",
                    name=command.name,
                    hook=event.kind,
                    position=command.position,
                    count=len(self._commands),
                )

    async def require_approval(self, event: Event) -> None:
        """Run the commands for ``event`` one after the other, and wait until they have ended.

        Fails with ``VersionFailed`` if a command fails: it rejects the version. Cancel ends the command.
        """
        for command in self._commands_for(event):
            failure = await command.run(event)
            if failure is not None:
                raise VersionFailed(f"the hook {command.name} rejected the version: {failure}")

    async def close(self) -> None:
        """Observe no more; wait a few seconds for unfinished commands and requests, then cancel them; fires when none is left.

        Ignores cancellation.
        """
        globalLogPublisher.removeObserver(self)
        await shielded(Deferred.fromCoroutine(self._close()))

    async def _close(self) -> None:
        if not self._commands and not self._requests:
            return
        log.info(
            "hooks: waiting up to {wait} for {commands} and {requests}",
            event="hooks_closing",
            wait=format_duration(self._limits.close_timeout),
            commands=counted(len(self._commands), "command"),
            requests=counted(len(self._requests), "notification"),
            count=len(self._commands) + len(self._requests),
        )
        all_done = Outcome(Deferred.fromCoroutine(self._settled()))
        if not await settles_within(self._reactor, self._limits.close_timeout, all_done):
            self._log_unfinished()
            self._commands.cancel()
            self._requests.cancel()
            await all_done.wait()

    def _log_unfinished(self) -> None:
        if self._commands:
            count = len(self._commands)
            log.warn("hooks: killed {commands}", event="hooks_killed", commands=counted(count, "command"), count=count)
        for url, count in (+self._undelivered).items():
            log.warn(
                "notify: {notifications} not delivered to {url}: hanoverd stops",
                event="notify_dropped",
                notifications=counted(count, "notification"),
                count=count,
                url=shown(url),
            )

    async def _settled(self) -> None:
        await self._commands.settled()
        await self._requests.settled()

    def _commands_for(self, event: Event) -> list[HookCommand]:
        hooks = [hook for hook in self._spec.hooks if hook.event == event.kind]
        return [
            HookCommand(self._reactor, self._environ, hook, position, len(hooks), self._limits.command_timeout)
            for position, hook in enumerate(hooks, 1)
        ]

    def _post_to_all(self, event: Event) -> None:
        for url in self._spec.urls:
            if len(self._requests) < self._limits.requests:
                self._requests.start(self._post(url, event))
            else:
                log.error(
                    "notify: {hook} not sent to {url}: {count} requests are unanswered",
                    event="notify_skipped",
                    hook=event.kind,
                    url=shown(url),
                    count=len(self._requests),
                )

    async def _post(self, url: str, event: Event) -> None:
        attempts = self._limits.attempts
        body = body_of(event, self._spec)
        headers = headers_of(body, self._spec)
        self._undelivered[url] += 1
        try:
            await retry(
                self._reactor,
                self._limits.backoff,
                lambda: post_event(self._reactor, url, body, headers),
                on=HanoverdError,
                attempts=attempts,
            )
        except HanoverdError as error:
            log.error(
                "notify: {hook} not delivered after {count} attempts: {error}",
                event="notify_failed",
                hook=event.kind,
                url=shown(url),
                error=error,
                count=attempts,
            )
        finally:
            self._undelivered[url] -= 1
