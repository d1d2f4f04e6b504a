"""An app that speaks no TLS does not load what Twisted needs for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hanoverd.cli.parse import parse
from hanoverd.spec.app import AppSpec

LIBRARIES = "{'OpenSSL', 'cryptography', 'service_identity'}"


def run(code: str) -> str:
    """Run a program in a process of its own; return what it prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def loaded(code: str) -> str:
    """Return which libraries for TLS are loaded after a program."""
    return run(f"import sys\n{code}\nprint(sorted(name for name in {LIBRARIES} if sys.modules.get(name)))")


def test_the_daemon_is_loaded_without_tls() -> None:
    code = "from hanoverd.runtime.tls import forgo_tls\nforgo_tls()\nimport twisted.internet.reactor, hanoverd.daemon"
    assert loaded(code) == "[]\n"


def test_the_page_is_loaded_without_tls() -> None:
    code = (
        "from hanoverd.runtime.tls import forgo_tls\nforgo_tls()\nimport twisted.internet.reactor, hanoverd.web.wiring"
    )
    assert loaded(code) == "[]\n"


def test_it_is_kept_where_it_is_loaded_already() -> None:
    code = (
        "import twisted.internet.reactor\nfrom hanoverd.runtime.tls import forgo_tls\nforgo_tls()\n"
        "from twisted.internet.ssl import optionsForClientTLS\noptionsForClientTLS('localhost')"
    )
    assert "OpenSSL" in loaded(code)


def test_a_daemon_that_forgoes_it_can_send_requests_without_it() -> None:
    code = """
from hanoverd.runtime.tls import forgo_tls
forgo_tls()
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.server import Site
from twisted.web.resource import Resource
from hanoverd.runtime.posting import post_event
from hanoverd.spec.health import ProbeSpec
from hanoverd.versions.health import Health

class Far(Resource):
    isLeaf = True

    def render(self, request):
        request.setResponseCode(200 if request.method == b"GET" else 405)
        return b""

port = reactor.listenTCP(0, Site(Far()), interface="127.0.0.1").getHost().port

async def ask():
    try:
        result = await Health(reactor, ProbeSpec()).probe("127.0.0.1", port, lambda: None)
        print(result.summary)
        try:
            await post_event(reactor, f"http://127.0.0.1:{port}/hook", b"{}", {})
        except Exception as error:
            print(error)
    finally:
        reactor.stop()

reactor.callWhenRunning(lambda: Deferred.fromCoroutine(ask()))
reactor.run()
"""
    first, second = run(code).splitlines()
    assert first.endswith("HTTP status 200")
    # The request was sent, and answered.
    assert "HTTP status 405" in second


def test_the_plugin_of_twistd_forgoes_it_for_an_app_that_does_not_need_it() -> None:
    code = """
from hanoverd import tap
from hanoverd.cli.parse import parse
options = tap.Options()
options.parent = None
options.spec = parse({words!r}, {{}}, "/")
tap.assemble = lambda *arguments, **_: None
tap.makeService(options)
"""
    assert loaded(code.format(words=["--name", "web", "--publish", "80", "web:1"])) == "[]\n"
    assert loaded(code.format(words=["web"])) == "[]\n"
    assert "OpenSSL" in loaded(code.format(words=["--name", "web", "--notify", "https://x.example/", "web:1"]))


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("web:1", False),
        ("", False),
        ("https://git.example/web", False),
        ("--status-uri /health web:1", False),
        ("--hook live=true web:1", False),
        ("docker-archive:https://files.example/web.tar", True),
        ("--notify http://ops.example/ web:1", True),
        ("--hookbot wss://x@hookbot.example/sub/hanoverd/cwd", True),
        ("--status-kind https web:1", True),
    ],
)
def test_which_apps_need_it(words: str, needed: bool) -> None:
    spec = parse(["--name", "web", *words.split()], {}, "/", lambda: ["docker-archive"])
    assert isinstance(spec, AppSpec)
    assert spec.needs_tls is needed
