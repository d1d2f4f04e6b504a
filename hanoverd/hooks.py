"""The user's own commands, and web hooks, at the events of an app's life."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from hanoverd.concurrency.polling import growing, pause
from hanoverd.concurrency.processes import Ended, run
from hanoverd.concurrency.tasks import Tasks
from hanoverd.edges.posting import post_event
from hanoverd.errors import HanoverdError, VersionFailed
from hanoverd.model.durations import format_duration
from hanoverd.model.events import Event

log = Logger()

#: How long a command may take, in seconds.
HOOK_WITHIN = 60.0

#: How long the end of the daemon is held up by commands and web hooks, in seconds.
CLOSES_WITHIN = 5.0

#: Between two tries at a web hook, in seconds: the first wait and the longest; and how many tries there are.
FIRST_WAIT, LONGEST_WAIT, TRIES = 1.0, 30.0, 5

#: How many tellings may be under way: an address that does not answer must not fill the memory.
MOST_UNDER_WAY = 100


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
        self._tellings = Tasks()

    def tell(self, event: Event) -> None:
        """Have everybody who wants to know of ``event`` know; whatever becomes of it, the app's life goes on."""
        for hook in self._hooks:
            if hook.event == event.kind:
                self._go(hook.command, self._run_and_tell(hook, event))
        for url in self._urls:
            self._go(url, self._post(url, event))

    async def ask(self, event: Event) -> None:
        """As ``tell``, but wait for the commands; fails with ``VersionFailed`` where one of them does, which is its veto.

        Cancel ends the command.
        """
        for url in self._urls:
            self._go(url, self._post(url, event))
        for hook in self._hooks:
            if hook.event == event.kind:
                failure = await self._run(hook, event)
                if failure is not None:
                    raise VersionFailed(
                        f"{event.new.name} failed: the hook {hook.command!r} is against it: it {failure}"
                    )

    async def close(self) -> None:
        """Wait a moment for what is under way, then end it; fires when nothing is left.  Deaf to every cancel."""
        timer = self._reactor.callLater(CLOSES_WITHIN, self._tellings.cancel)
        await self._tellings.over()
        if timer.active():
            timer.cancel()

    async def _run_and_tell(self, hook: Hook, event: Event) -> None:
        failure = await self._run(hook, event)
        if failure is not None:
            log.error(
                "the hook {command} for {event} {failure}", command=hook.command, event=event.kind, failure=failure
            )

    async def _run(self, hook: Hook, event: Event) -> str | None:
        """Run it to its end, its output logged; gives how it failed, None if it did not."""
        work: Deferred[Ended] = Deferred.fromCoroutine(
            run(
                self._reactor,
                ["sh", "-c", hook.command],
                {**self._environ, **event.environment()},
                on_line=lambda line: log.info("hook {event}: {line}", event=event.kind, line=line),
                with_children=True,
            )
        )
        timer = self._reactor.callLater(HOOK_WITHIN, work.cancel)
        try:
            ended = await work
        except CancelledError:
            if timer.active():
                raise
            return f"was not done within {format_duration(HOOK_WITHIN)}, and was ended"
        except HanoverdError as error:
            return f"could not be run: {error}"
        finally:
            if timer.active():
                timer.cancel()
        return f"ended with exit status {ended.code}" if ended.code else None

    async def _post(self, url: str, event: Event) -> None:
        for tries, wait in enumerate(growing(FIRST_WAIT, LONGEST_WAIT, 2.0), 1):
            try:
                await post_event(self._reactor, url, event.json())
            except HanoverdError as error:
                if tries == TRIES:
                    log.error("{error}; given up after {tries} tries", error=error, tries=tries)
                    return
                await pause(self._reactor, wait)
            else:
                return

    def _go(self, what: str, work: Any) -> None:
        if len(self._tellings) >= MOST_UNDER_WAY:
            work.close()
            log.error("{what} is too slow: an event was not told to it", what=what)
            return
        self._tellings.go(work)
