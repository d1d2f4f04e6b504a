"""Interfaces of a reactor that several packages need."""

from __future__ import annotations

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorSSL,
    IReactorTCP,
    IReactorTime,
)


class ClientReactor(IReactorTCP, IReactorSSL, IReactorPluggableNameResolver, IReactorTime):
    """The parts of a reactor that connect to a host by its name, with or without TLS."""


class ServiceReactor(IReactorCore, IReactorTime, IReactorFromThreads):
    """The parts of a reactor that run a service until a signal stops it."""


class ServerReactor(IReactorTCP, IReactorSSL, ServiceReactor):
    """The parts of a reactor that run a service that listens, with or without TLS."""
