"""The page over HTTP: who may ask for what, and what is sent to the daemons."""

from __future__ import annotations

import http.client
import os
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlencode

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger

from hanoverd.runtime.clock import sleep
from hanoverd.runtime.state_folder import token_file_of
from hanoverd.web import server as server_module
from hanoverd.web import site as site_module
from hanoverd.web import streams, watch
from hanoverd.web.guard import HEADERS, Guard
from hanoverd.web.login import MOST_ATTEMPTS, Login
from hanoverd.web.server import PageServer
from hanoverd.web.sessions import Sessions
from hanoverd.web.site import PageSite
from hanoverd.web.token import TokenFile
from hanoverd.web.visitors import Visitors
from tests.unit.web.daemon import REACTOR, DaemonsCase

log = Logger()


class Answer:
    """What the page has answered."""

    def __init__(self, found: http.client.HTTPResponse) -> None:
        self.status = found.status
        self.headers = found.headers
        self.text = found.read().decode()

    @property
    def csrf(self) -> str:
        found = re.search(r'name="csrf" value="([0-9a-f]+)"', self.text)
        return "" if found is None else found[1]


class PageCase(DaemonsCase):
    """A page on a free port of the loopback address."""

    allows_actions = True
    needs_login = False

    def setUp(self) -> None:
        super().setUp()
        self.patch(watch, "SEARCH_INTERVAL", 0.1)
        self.cookies: dict[str, str] = {}
        sessions, login, self.token = Sessions(), None, ""
        if self.needs_login:
            self.file = TokenFile(token_file_of(self.folder))
            self.token = self.file.replace()
            login = Login(REACTOR, self.file, sessions, self.in_thread)
        self.server = PageServer(
            REACTOR,
            self.watcher,
            Guard(("apps.example.com",), self.needs_login),
            Visitors(sessions, login, 1),
            self.in_thread,
            allows_actions=self.allows_actions,
        )
        self.site = PageSite(self.server.resource())
        listening = REACTOR.listenTCP(0, self.site, interface="127.0.0.1")
        self.port = listening.getHost().port
        self.watcher.start()

        async def stop() -> None:
            self.site.drop_all()
            self.server.stop()
            await listening.stopListening()
            await self.until(lambda: not (self.site.idle or self.site.busy))

        self.addCleanup(lambda: Deferred.fromCoroutine(stop()))

    async def ask(self, method: str, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """Ask as a browser does, which keeps its cookies."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            sent.setdefault("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        body = None if form is None else urlencode(form)
        if form is not None:
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")

        def run() -> Answer:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            try:
                connection.request(method, path, body, sent)
                return Answer(connection.getresponse())
            finally:
                connection.close()

        answer: Answer = await deferToThread(run)
        for cookie in answer.headers.get_all("Set-Cookie", ()):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return answer

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.ask("GET", path, None, **headers)

    async def read(self, path: str, wanted: bytes) -> bytes:
        """Read a stream until it has sent something."""

        def run() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n".encode())
                found = b""
                while wanted not in found:
                    part = connection.recv(65536)
                    assert part, found
                    found += part
                return found

        read: bytes = await deferToThread(run)
        return read


class OpenTests(PageCase):
    """Without a login."""

    async def test_all_apps_and_one_app_are_shown(self) -> None:
        self.serve("web")
        self.serve("shop")
        await self.until(lambda: self.is_followed("web") and self.is_followed("shop"))
        log.info("{version}  | {line}", event="output", version="web-1", line="a line of the log")
        index = await self.get("/")
        self.assertEqual((index.status, index.headers["Content-Type"]), (200, "text/html; charset=utf-8"))
        self.assertIn('href="/apps/shop"', index.text)
        app = await self.get("/apps/web")
        self.assertEqual(app.status, 200)
        self.assertIn("a line of the log", app.text)

    async def test_each_answer_has_the_headers_that_protect_the_browser(self) -> None:
        self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        for path in ("/", "/apps/web", "/apps/none", "/nothing", "/metrics", "/static/none", "/login"):
            answer = await self.get(path)
            for name, value in HEADERS.items():
                self.assertEqual(answer.headers[name], value, path)
        refused = await self.get("/", Host="evil.example")
        self.assertEqual((refused.status, refused.headers["X-Frame-Options"]), (421, "DENY"))

    async def test_the_first_page_after_the_start_shows_all_apps(self) -> None:
        self.serve("web")
        self.assertEqual((await self.get("/apps/web")).status, 200)
        self.assertEqual(self.state("web"), "live")

    async def test_the_page_after_a_form_shows_what_has_become_of_it(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        csrf = (await self.get("/apps/web")).csrf
        web.current = replace(web.current, paused=True)
        answer = await self.ask("POST", "/apps/web/pause", {"csrf": csrf})
        self.assertIn('action="/apps/web/resume"', (await self.get(answer.headers["Location"])).text)

    async def test_what_there_is_not(self) -> None:
        for path in ("/nothing", "/apps/none", "/apps/none/logs", "/apps/", "/static/none", "/static/../token.py"):
            self.assertEqual((await self.get(path)).status, 404, path)
        self.assertEqual((await self.ask("DELETE", "/")).status, 405)
        self.assertEqual((await self.ask("POST", "/live")).status, 405)
        for path in ("/", "/live", "/metrics"):
            answer = await self.ask("HEAD", path)
            self.assertEqual((answer.status, answer.text), (200, ""))

    async def test_files_are_kept_by_the_browser_as_long_as_their_content_stays(self) -> None:
        [path] = re.findall(r'href="(/static/style\.css\?v=\w+)"', (await self.get("/")).text)
        style = await self.get(path)
        self.assertEqual((style.status, style.headers["Content-Type"]), (200, "text/css; charset=utf-8"))
        self.assertIn("immutable", style.headers["Cache-Control"])
        self.assertEqual((await self.get("/static/style.css?v=other")).headers["Cache-Control"], "no-cache")

    async def test_the_cookie_cannot_be_read_or_sent_by_others(self) -> None:
        cookie = (await self.get("/")).headers["Set-Cookie"]
        for attribute in ("HttpOnly", "SameSite=strict", "Path=/"):
            self.assertIn(attribute, cookie)
        self.assertNotIn("Secure", cookie)
        self.assertIsNone((await self.get("/")).headers["Set-Cookie"])

    async def test_a_form_is_a_request_to_the_daemon_and_its_message_is_shown_once(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        csrf = (await self.get("/apps/web")).csrf
        for verb, asked in (
            ("deploy", "deploy: hanoverd deploy, on the page"),
            ("cancel", "cancel"),
            ("pause", "pause"),
            ("resume", "resume"),
        ):
            answer = await self.ask("POST", f"/apps/web/{verb}", {"csrf": csrf})
            self.assertEqual(answer.status, 303)
            self.assertIn(asked, web.asked)
            location = answer.headers["Location"]
            self.assertTrue(location.startswith("/apps/web?note="))
        self.assertIn("a handover starts, for 1 trigger", (await self.get(location)).text)
        self.assertNotIn("a handover starts, for 1 trigger", (await self.get(location)).text)
        [origin] = web.origins
        assert origin is not None
        self.assertEqual(origin.uid, os.geteuid())

    async def test_a_rollback_can_name_a_version(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        csrf = (await self.get("/apps/web")).csrf
        await self.ask("POST", "/apps/web/rollback", {"csrf": csrf, "version": "7"})
        self.assertIn("rollback 7: hanoverd rollback (7), on the page", web.asked)
        wrong = await self.ask("POST", "/apps/web/rollback", {"csrf": csrf, "version": "x"})
        self.assertEqual(wrong.status, 400)

    async def test_an_action_that_the_daemon_refuses_is_a_message(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        csrf = (await self.get("/apps/web")).csrf
        web.is_stopping = True
        answer = await self.ask("POST", "/apps/web/deploy", {"csrf": csrf})
        self.assertIn("hanoverd is stopping", (await self.get(answer.headers["Location"])).text)

    async def test_a_form_of_another_site_or_another_browser_does_nothing(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        csrf = (await self.get("/apps/web")).csrf
        form = {"csrf": csrf}
        for answer in (
            await self.ask("POST", "/apps/web/deploy", {}),
            await self.ask("POST", "/apps/web/deploy", {"csrf": "0" * 64}),
            await self.ask("POST", "/apps/web/deploy", form, Cookie="hanoverd-1=another"),
            await self.ask("POST", "/apps/web/deploy", form, Cookie="x=y"),
            await self.ask("POST", "/apps/web/deploy", form, Origin="https://evil.example"),
            await self.ask("POST", "/apps/web/deploy", form, Sec_Fetch_Site="cross-site"),
            await self.ask("POST", "/apps/web/deploy", form, X_Forwarded_For="192.0.2.1"),
        ):
            self.assertEqual(answer.status, 403)
        self.assertEqual((await self.ask("POST", "/apps/web/deploy", form, Host="evil.example")).status, 421)
        self.assertEqual((await self.get("/apps/web/deploy")).status, 405)
        self.assertFalse([one for one in web.asked if one.startswith("deploy")])

    async def test_an_action_that_there_is_not(self) -> None:
        self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        csrf = (await self.get("/apps/web")).csrf
        for verb in ("stop", "logs", "x"):
            self.assertIn((await self.ask("POST", f"/apps/web/{verb}", {"csrf": csrf})).status, (404, 405))
        self.assertEqual((await self.ask("POST", "/apps/none/deploy", {"csrf": csrf})).status, 404)

    async def test_a_body_that_is_too_large_is_refused(self) -> None:
        answer = await self.ask("POST", "/apps/web/deploy", {"csrf": "x" * 100_000})
        self.assertEqual(answer.status, 413)

    async def test_two_browsers_learn_of_a_change(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        both = [self.read("/live", b'event: changed\ndata: {"app": "web"}\n\n') for _ in range(2)]
        waiting = [Deferred.fromCoroutine(one) for one in both]
        await self.until(lambda: len(self.watcher.subscribers) == 2)
        web.current = replace(web.current, state="down")
        log.info("web: down", event="exited")
        for one in waiting:
            self.assertIn(b"retry: 1000\n\n", await one)
        await self.until(lambda: not self.watcher.subscribers)

    async def test_a_stream_is_kept_alive(self) -> None:
        self.patch(streams, "KEEP_ALIVE_INTERVAL", 0.05)
        self.assertIn(b"text/event-stream", await self.read("/live", b"\n:\n\n"))

    async def test_the_log_is_a_stream_of_its_last_lines_and_the_next_ones(self) -> None:
        self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        log.info("{version}  | {line}", event="output", version="web-1", line="before \x1b[2J<b>")
        waiting = Deferred.fromCoroutine(self.read("/apps/web/logs", b"data: web-1  | after\n\n"))
        await self.until(lambda: self.server._streams["web"])
        await sleep(REACTOR, 0.2)
        log.info("{version}  | {line}", event="output", version="web-1", line="after")
        found = await waiting
        self.assertIn(b"event: start\ndata:\n\n", found)
        self.assertIn(rb"data: web-1  | before \x1b[2J<b>" + b"\n\n", found)
        await self.until(lambda: not self.server._streams)

    async def test_there_are_not_too_many_streams(self) -> None:
        self.patch(server_module, "MOST_STREAMS", 1)
        waiting = Deferred.fromCoroutine(self.read("/live", b"never"))
        waiting.addErrback(lambda _: None)
        await self.until(lambda: self.server._streams)
        self.assertEqual((await self.get("/live")).status, 503)
        self.site.drop_all()
        await waiting

    async def test_a_browser_that_does_not_read_its_log_takes_little_memory(self) -> None:
        self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(b"GET /apps/web/logs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await self.until(lambda: self.server._streams["web"])
            for number in range(3000):
                log.info("{version}  | {line}", event="output", version="web-1", line="x" * 10_000)
                if number % 20 == 0:
                    await sleep(REACTOR, 0)
            [channel] = list(self.site.busy)
            waiting = sum(map(len, channel.transport._tempDataBuffer)) + len(channel.transport.dataBuffer)
            self.assertLess(waiting, 2_000_000)
            # The page works meanwhile.
            self.assertEqual((await self.get("/")).status, 200)

    async def test_a_browser_that_goes_before_its_page_is_there_is_no_error(self) -> None:
        self.answer("hung", lambda peer: peer.recv(1))
        asked = len(self.site.busy)
        for path in ("/apps/hung", "/", "/metrics"):
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                await self.until(lambda: len(self.site.busy) > asked)
            await self.until(lambda: not self.site.busy)
        # A failure would be logged, and fail this test.
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_connections_over_the_limit_replace_idle_ones(self) -> None:
        self.patch(site_module.PageSite, "most_connections", 5)
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(8)]
        try:
            await self.until(lambda: len(self.site.idle) == 5)
            self.assertEqual((await self.get("/")).status, 200)
        finally:
            for one in idle:
                one.close()

    async def test_the_metrics_of_all_apps_are_one_text(self) -> None:
        self.serve("web")
        self.serve("shop")
        self.answer("bad", lambda peer: peer.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"))
        await self.until(lambda: self.is_followed("web") and self.is_followed("shop") and self.problem("bad"))
        answer = await self.get("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        for line in (
            'hanoverd_connections{app="web",role="live"} 7.0',
            'hanoverd_connections{app="shop",role="live"} 7.0',
            'hanoverd_app_up{app="web"} 1.0',
            'hanoverd_app_up{app="bad"} 0.0',
        ):
            self.assertIn(line, answer.text)
        self.assertEqual(answer.text.count("# TYPE hanoverd_connections gauge"), 1)

    async def test_headers_that_are_no_text_are_answered(self) -> None:
        def run() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                connection.sendall(
                    b"GET /apps/\xff?note=\xff HTTP/1.1\r\nHost: localhost\r\nCookie: hanoverd-1=\xff\r\n"
                    b"Sec-Fetch-Site: \xff\r\nAuthorization: Bearer \xff\r\nConnection: close\r\n\r\n"
                )
                return connection.recv(100)

        answer: bytes = await deferToThread(run)
        self.assertRegex(answer, rb"HTTP/1.1 4\d\d ")


class ReadOnlyTests(PageCase):
    """Without --allow-actions."""

    allows_actions = False

    async def test_nothing_can_be_changed_and_the_message_says_what_to_do(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        page = await self.get("/apps/web")
        self.assertNotIn("/apps/web/deploy", page.text)
        answer = await self.ask("POST", "/apps/web/deploy", {"csrf": page.csrf})
        self.assertEqual(answer.status, 403)
        self.assertIn("hanoverd web --allow-actions", answer.text)
        self.assertFalse([one for one in web.asked if one.startswith("deploy")])


class LoginTests(PageCase):
    """With a login."""

    needs_login = True

    async def log_in(self, token: str, **headers: str) -> Answer:
        csrf = (await self.get("/login")).csrf
        return await self.ask("POST", "/login", {"csrf": csrf, "token": token}, **headers)

    async def test_without_a_login_nothing_is_shown(self) -> None:
        web, _ = self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        for path in ("/", "/apps/web", "/apps/none"):
            answer = await self.get(path)
            self.assertEqual((answer.status, answer.headers["Location"], answer.text), (303, "/login", ""))
        for path in ("/live", "/apps/web/logs", "/metrics"):
            answer = await self.get(path)
            self.assertEqual(answer.status, 401, path)
            self.assertNotIn("hanoverd_", answer.text)
        csrf = (await self.get("/login")).csrf
        self.assertEqual((await self.ask("POST", "/apps/web/deploy", {"csrf": csrf})).status, 401)
        self.assertFalse([one for one in web.asked if one.startswith("deploy")])
        self.assertEqual((await self.get("/static/style.css")).status, 200)

    async def test_the_token_opens_the_page_until_the_user_logs_out(self) -> None:
        before = (await self.log_in("wrong")).status, dict(self.cookies)
        self.assertEqual(before[0], 403)
        answer = await self.log_in(f" {self.token}\n")
        self.assertEqual((answer.status, answer.headers["Location"]), (303, "/"))
        # The cookie is a new one: nobody knew it before.
        self.assertNotEqual(before[1], self.cookies)
        page = await self.get("/")
        self.assertEqual(page.status, 200)
        used = dict(self.cookies)
        self.assertEqual((await self.ask("POST", "/logout", {"csrf": "x"})).status, 403)
        self.assertEqual((await self.ask("POST", "/logout", {"csrf": page.csrf})).status, 303)
        self.cookies = used
        self.assertEqual((await self.get("/")).status, 303)

    async def test_the_login_leads_to_the_page_that_was_asked_for(self) -> None:
        await self.get("/apps/we%22b")
        self.assertEqual((await self.log_in(self.token)).headers["Location"], "/apps/we%22b")
        self.assertEqual((await self.log_in(self.token)).status, 403)  # It has no form: the user is logged in.

    async def test_another_site_cannot_log_a_user_in(self) -> None:
        await self.get("/login")
        self.assertEqual((await self.ask("POST", "/login", {"token": self.token})).status, 403)
        self.assertEqual((await self.get("/")).status, 303)

    async def test_guessing_is_slow(self) -> None:
        for _ in range(MOST_ATTEMPTS):
            self.assertEqual((await self.log_in("wrong")).status, 403)
        answer = await self.log_in(self.token)
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (429, "60"))
        self.assertEqual((await self.get("/metrics", Authorization="Bearer wrong")).status, 429)

    async def test_a_new_token_ends_sessions_and_their_streams(self) -> None:
        self.patch(streams, "KEEP_ALIVE_INTERVAL", 0.05)
        await self.log_in(self.token)
        waiting = Deferred.fromCoroutine(self.read("/live", b"0\r\n\r\n"))
        await self.until(lambda: self.watcher.subscribers)
        TokenFile(token_file_of(self.folder)).replace()
        await waiting
        self.assertEqual((await self.get("/")).status, 303)

    async def test_prometheus_sends_the_token(self) -> None:
        self.serve("web")
        await self.until(lambda: self.is_followed("web"))
        refused = await self.get("/metrics")
        self.assertEqual(refused.headers["WWW-Authenticate"], 'Bearer realm="hanoverd"')
        for _ in range(2 * MOST_ATTEMPTS):
            answer = await self.get("/metrics", Authorization=f"Bearer {self.token}")
            self.assertIn('hanoverd_app_up{app="web"} 1.0', answer.text)
        self.assertEqual((await self.get("/metrics", Authorization="Basic x")).status, 401)

    async def test_a_link_on_another_site_leads_to_the_page_and_keeps_the_session(self) -> None:
        await self.log_in(self.token)
        before = dict(self.cookies)
        link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
        # The browser has a cookie, and does not send it.
        for path, again in (
            ("/apps/web?outcome=failed", "/apps/web?outcome=failed&amp;again=1"),
            ("/", "/?again=1"),
            ("//evil.example/", "/evil.example/?again=1"),
            ('/"><b>', "/&quot;&gt;&lt;b&gt;?again=1"),
        ):
            answer = await self.ask("GET", path, None, Cookie="", **link)
            self.assertEqual((answer.status, answer.headers["Set-Cookie"]), (200, None))
            self.assertIn(f'content="0;url={again}"', answer.text)
        self.assertEqual(self.cookies, before)
        self.assertEqual((await self.get("/?again=1", Sec_Fetch_Site="same-origin")).status, 200)
        # Over plain HTTP to another host, browsers do not say where a request comes from.
        marker = "hanoverd-1-here=1"
        answer = await self.ask("GET", "/", None, Cookie=marker)
        self.assertEqual((answer.status, answer.headers["Set-Cookie"]), (200, None))
        self.assertIn('content="0;url=/?again=1"', answer.text)
        self.assertEqual((await self.ask("GET", "/?again=1", None, Cookie=marker)).status, 303)
        self.assertEqual((await self.ask("POST", "/apps/web/deploy", {}, Cookie=marker)).status, 401)
        # A browser that does not send it then, either, is sent to the login, and not in a circle.
        self.assertEqual((await self.ask("GET", "/?again=1", None, Cookie="", **link)).status, 303)

    async def test_behind_tls_the_cookie_is_sent_over_tls_only(self) -> None:
        answer = await self.get(
            "/login", Host="apps.example.com", X_Forwarded_Proto="https", X_Forwarded_For="192.0.2.1"
        )
        self.assertIn("Secure", answer.headers["Set-Cookie"])

    async def test_without_the_file_the_page_says_what_to_do(self) -> None:
        await self.get("/")
        token_file_of(self.folder).write_bytes(b"damaged")
        answer = await self.get("/")
        self.assertEqual(answer.status, 503)
        self.assertIn("hanoverd web --new-token", answer.text)


class ThirtyAppsTests(PageCase):
    """Many daemons at once."""

    async def test_thirty_apps_are_followed_and_shown_within_seconds(self) -> None:
        begun = time.monotonic()
        for number in range(30):
            self.serve(f"app{number:02}")
        await self.until(lambda: all(self.is_followed(f"app{number:02}") for number in range(30)))
        self.assertLess(time.monotonic() - begun, 15)
        index = await self.get("/")
        self.assertEqual(len(set(re.findall(r'href="/apps/(app\d\d)"', index.text))), 30)
