"""The builder as a Twisted service, and as a command that builds once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hanoverd.builder.builder import Builder
from hanoverd.docker.pools import Pools
from hanoverd.hookbot.trigger import HookbotTrigger
from hanoverd.runtime.errors import HanoverdError
from hanoverd.runtime.reactors import ServiceReactor
from hanoverd.runtime.running import RunningService
from hanoverd.runtime.signals import handle_signals

log = Logger()


class BuilderService(RunningService):
    """Builds at the start, at each message from hookbot, and at each SIGHUP, while the reactor runs."""

    def __init__(self, reactor: ServiceReactor, pool: Pools, builder: Builder, hookbot: HookbotTrigger) -> None:
        super().__init__(reactor)
        self._pool = pool
        self._builder = builder
        self._hookbot = hookbot
        self._is_stopping = False

    def begin(self) -> None:
        """Handle the signals, and start the first build."""
        handle_signals(self._reactor, lambda: self._builder.trigger("SIGHUP"), self._stop)
        self._pool.start()
        self._builder.trigger("start")
        self._hookbot.start()

    async def end(self) -> None:
        """Stop the build that runs; fires when it and all threads have ended."""
        await self._hookbot.stop()
        await self._builder.stop()
        self._pool.stop()
        log.info("builder: stopped", event="builder_ended")

    def _stop(self, reason: str) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            log.info("builder: stopping: {reason}", event="builder_stopping", reason=reason)
            self._reactor.stop()


def build_once(reactor: ServiceReactor, pool: Pools, builder: Builder) -> bool:
    """Run the reactor for one build, and return whether it succeeded. SIGTERM and SIGINT cancel it."""
    succeeded = False

    def begin() -> None:
        pool.start()
        building = Deferred.fromCoroutine(builder.build())
        handle_signals(reactor, lambda: None, lambda _: building.cancel())
        building.addCallbacks(succeed, log_failure)
        building.addBoth(lambda _: reactor.stop())

    def succeed(_result: None) -> None:
        nonlocal succeeded
        succeeded = True

    def log_failure(failure: Failure) -> None:
        if failure.check(HanoverdError):
            log.error("builder: build failed: {error}", event="build_failed", error=failure.value)
        elif not failure.check(CancelledError):
            log.failure("builder: build failed: internal error", failure, event="internal_error")

    reactor.callWhenRunning(begin)
    reactor.run()
    pool.stop()
    return succeeded
