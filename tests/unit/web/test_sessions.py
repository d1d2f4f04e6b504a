"""Sessions by random cookies, limited in number and time."""

from __future__ import annotations

from hanoverd.web.sessions import IDLE_TIMEOUT, LONGEST, MOST_SESSIONS, Sessions


def test_a_session_lasts_while_it_is_used_but_not_for_ever() -> None:
    sessions = Sessions()
    cookie = sessions.begin(0)
    now = 0.0
    while now + IDLE_TIMEOUT <= LONGEST:
        now += IDLE_TIMEOUT
        assert sessions.use(cookie, now)
    assert not sessions.use(cookie, LONGEST + 1)
    assert len(sessions) == 0


def test_a_session_that_is_not_used_ends() -> None:
    sessions = Sessions()
    cookie = sessions.begin(0)
    assert not sessions.use(cookie, IDLE_TIMEOUT + 1)
    assert not sessions.use(cookie, 0)


def test_what_is_no_session() -> None:
    sessions = Sessions()
    ended, cookie = sessions.begin(0), sessions.begin(0)
    sessions.end(ended)
    for wrong in ("", "x", ended, cookie.swapcase(), cookie[:-1], "\udcff", sessions.new_cookie()):
        assert not sessions.use(wrong, 1)
    assert sessions.use(cookie, 1)
    sessions.end_all()
    assert not sessions.use(cookie, 1)


def test_the_session_that_was_used_least_recently_ends_for_a_new_one() -> None:
    sessions = Sessions()
    first, second = sessions.begin(0), sessions.begin(0)
    assert sessions.use(first, 1)
    for _ in range(MOST_SESSIONS - 1):
        sessions.begin(2)
    assert len(sessions) == MOST_SESSIONS
    assert sessions.use(first, 3)
    assert not sessions.use(second, 3)


def test_a_form_fits_the_cookie_for_which_it_was_made_and_this_process() -> None:
    sessions, other_process = Sessions(), Sessions()
    cookie, other = sessions.begin(0), sessions.begin(0)
    token = sessions.csrf(cookie)
    assert cookie not in token
    assert sessions.is_csrf(cookie, token)
    assert not sessions.is_csrf(other, token)
    assert not sessions.is_csrf("", sessions.csrf(""))
    assert not other_process.is_csrf(cookie, token)
    for wrong in ("", token[:-1], token + "0", "x" * 10_000, "ü"):
        assert not sessions.is_csrf(cookie, wrong)
