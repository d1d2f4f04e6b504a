"""Creates the builder from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from hanoverd.builder.builder import Builder
from hanoverd.builder.service import BuilderService, build_once
from hanoverd.docker.address import engine_address
from hanoverd.docker.engine import Engine
from hanoverd.docker.pools import Pools
from hanoverd.docker.preflight import check_engine
from hanoverd.hookbot.endpoints import load_trust
from hanoverd.hookbot.protocol import UPDATE
from hanoverd.hookbot.publishing import publish
from hanoverd.hookbot.wiring import make_hookbot_trigger
from hanoverd.images import Source
from hanoverd.images.kinds import open_source
from hanoverd.images.progress import show_progress
from hanoverd.images.wiring import ObtainReactor, make_pool, make_source_context
from hanoverd.spec.names import app_name_from
from hanoverd.spec.programs import BuilderSpec


def assemble_builder(spec: BuilderSpec, environ: Mapping[str, str], reactor: ObtainReactor) -> BuilderService:
    """Return the builder as a service; fails with ``HanoverdError``."""
    pool, source, builder = _builder(spec, environ, reactor)
    hookbot = make_hookbot_trigger(spec.hookbot, reactor, source, builder)
    return BuilderService(reactor, pool, builder, hookbot)


def run_once(spec: BuilderSpec, environ: Mapping[str, str], reactor: ObtainReactor) -> bool:
    """Run the reactor for one build, and return whether it succeeded; fails with ``HanoverdError`` if it cannot start."""
    pool, _, builder = _builder(spec, environ, reactor)
    return build_once(reactor, pool, builder)


def _builder(spec: BuilderSpec, environ: Mapping[str, str], reactor: ObtainReactor) -> tuple[Pools, Source, Builder]:
    address = engine_address(environ)
    pool = make_pool()
    engine = Engine(reactor, pool, address)
    app = f"{app_name_from(spec.image.repository)}-builder"
    context = make_source_context(spec.source, app, environ, reactor, engine)
    source = open_source(spec.source.name, context)
    source.check()
    trust = load_trust(spec.hookbot.ca_file)
    check_engine(address, {})
    notify = partial(publish, reactor, spec.notify, trust, UPDATE)
    credentials, progress = context.credentials, show_progress()
    builder = Builder(reactor, engine, credentials, source, spec.image, notify, progress, spec.obtain_timeout)
    return pool, source, builder
