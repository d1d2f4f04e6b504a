"""What is posted to webhooks."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanoverd.notify.posts import body_of, headers_of
from hanoverd.spec.events import KINDS, Event, VersionReference
from hanoverd.spec.notifications import SLACK, NotificationSpec

FOR_SLACK = NotificationSpec(format=SLACK)


def text_of(event: Event) -> str:
    text = json.loads(body_of(event, FOR_SLACK))
    assert list(text) == ["text"]
    return str(text["text"])


def about(kind: str, reason: str = "", old: VersionReference | None = None) -> Event:
    return Event(kind, "web", VersionReference("web-3", "b3"), old, "team/web:2", "sha256:1", reason)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (about("obtained"), "web-3: its image is there: team/web:2"),
        (about("ready"), "web-3: ready (team/web:2)"),
        (about("live"), "web-3: live (team/web:2)"),
        (about("live", old=VersionReference("web-2")), "web-3: live (team/web:2), in the place of web-2"),
        (about("failed", "exited with code 3"), "web-3: failed\n```\nexited with code 3\n```"),
        (about("drained"), "web-3: stopped"),
        (about("died", "code 1"), "web-3: exited while it was live\n```\ncode 1\n```"),
    ],
)
def test_messages_for_slack(event: Event, text: str) -> None:
    assert text_of(event) == text


def test_no_output_of_an_app_is_a_mention_a_link_or_the_end_of_the_quote() -> None:
    text = text_of(about("failed", "<!channel> & ``` <https://example.org|here>"))
    assert text == ("web-3: failed\n```\n&lt;!channel&gt; &amp; ''' &lt;https://example.org|here&gt;\n```")


def test_the_end_of_a_long_reason_is_shown() -> None:
    text = text_of(about("failed", "x" * 30_000 + "the end"))
    assert text.startswith("web-3: failed\n```\n… (cut)\nxxx")
    assert text.endswith("xthe end\n```")
    assert len(text) < 3100


@given(st.sampled_from(KINDS), st.text(), st.text())
def test_every_event_makes_a_message(kind: str, image: str, reason: str) -> None:
    assert "<" not in text_of(Event(kind, "web", image=image, reason=reason))
    assert text_of(Event(kind, "web", reason=reason)).count("```") == (2 if reason else 0)


def test_a_signature_is_that_of_rfc_4231() -> None:
    # Test case 2.
    headers = headers_of(b"what do ya want for nothing?", NotificationSpec(secret="Jefe"))
    assert headers == {
        "X-Hanoverd-Signature-256": "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    }
