"""One command of a hook: runs it, and logs its output and its failure."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.output_limit import OutputLimit, OutputRate
from hanoverd.runtime.processes import Ended, ProcessReactor, run
from hanoverd.spec.events import Event
from hanoverd.spec.notifications import Hook
from hanoverd.text.counting import counted
from hanoverd.text.durations import format_duration

log = Logger()

#: How much output of a command is logged.
LIMIT = OutputRate(lines_at_once=1_000, lines=100, bytes_at_once=1024 * 1024, bytes=64 * 1024)


class HookCommand:
    """The command of ``hook``, which is number ``position`` of ``count`` hooks for the same event.

    Messages do not have the command itself: it may hold secrets.
    """

    def __init__(
        self,
        reactor: ProcessReactor,
        environ: Mapping[str, str],
        hook: Hook,
        position: int,
        count: int,
        timeout: float,
    ) -> None:
        self._reactor = reactor
        self._environ = environ
        self._hook = hook
        self._timeout = timeout
        self.position = position
        #: What messages call it.
        self.name = hook.event if count == 1 else f"{hook.event} ({position} of {count})"

    async def run_and_log(self, event: Event) -> None:
        """Run the command, and log its failure. Cancel ends it."""
        failure = await self.run(event)
        if failure is not None:
            log.error(
                "hook {name}: failed: {error}",
                event="hook_failed",
                name=self.name,
                hook=event.kind,
                position=self.position,
                error=failure,
            )

    async def run(self, event: Event) -> str | None:
        """Run the command and log its output; return why it failed, None if it succeeded. Cancel ends it."""
        limit = OutputLimit(self._reactor, LIMIT)

        def log_line(line: str) -> None:
            if limit.admits(len(line)):
                log.info(
                    "hook {name}: {line}",
                    event="hook_output",
                    name=self.name,
                    hook=event.kind,
                    position=self.position,
                    line=line,
                )

        command = ["sh", "-c", self._hook.command]
        environ = {**self._environ, **event.environment()}
        work: Deferred[Ended] = Deferred.fromCoroutine(
            run(self._reactor, command, environ, on_line=log_line, with_children=True)
        )
        try:
            ended = await within(self._reactor, self._timeout, work)
        except TimedOut:
            return f"killed: it did not end within {format_duration(self._timeout)}"
        except HanoverdError as error:
            return str(error)
        finally:
            self._log_dropped(event, limit.pop_dropped())
        return _failure(ended.code)

    def _log_dropped(self, event: Event, count: int) -> None:
        if count:
            log.warn(
                "hook {name}: {lines} of output not logged: it prints too much",
                event="hook_output_dropped",
                name=self.name,
                hook=event.kind,
                position=self.position,
                lines=counted(count, "line"),
                count=count,
            )


def _failure(code: int) -> str | None:
    if code < 0:
        return f"ended by signal {-code}"
    return f"exit status {code}" if code else None
