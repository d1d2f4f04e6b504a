"""Each log call has an event with the fields that the table of events names."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from hanoverd.logs.events import EVENTS, FIELDS
from hanoverd.spec.events import LIFECYCLE

PACKAGE = Path(__file__).parents[3] / "hanoverd"

#: What ``**self._took(…)`` and the like in ``phases`` pass.
_ABOUT, _TIME = {"version", "handover"}, {"seconds", "took"}
PASSED = {"_about": _ABOUT, "_time": _TIME, "_took": _ABOUT | _TIME, "_image": {"image", "image_id"} | _ABOUT | _TIME}


def log_calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
            ):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def event_of(call: ast.Call) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg == "event":
            for node in ast.walk(keyword.value):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def message_of(call: ast.Call) -> str:
    """The message; "" where it is an argument of the function that logs it."""
    message = call.args[0]
    return message.value if isinstance(message, ast.Constant) and isinstance(message.value, str) else ""


def names_of(call: ast.Call) -> set[str]:
    names: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg is not None:
            names.add(keyword.arg)
        else:
            value = keyword.value.func if isinstance(keyword.value, ast.Call) else keyword.value
            assert isinstance(value, ast.Attribute)
            names |= PASSED[value.attr]
    return names - {"event", LIFECYCLE}


def test_every_log_call_has_an_event() -> None:
    assert [place for place, call in log_calls() if not list(event_of(call))] == []


def test_the_table_names_the_events_and_their_fields() -> None:
    used: dict[str, set[str]] = defaultdict(set)
    for _, call in log_calls():
        for event in event_of(call):
            used[event] |= names_of(call) & set(FIELDS)
    assert used == {kind.id: set(kind.fields) for kind in EVENTS}


def test_what_is_no_field_is_a_part_of_the_message() -> None:
    for place, call in log_calls():
        if message_of(call):
            for name in names_of(call) - set(FIELDS):
                assert f"{{{name}}}" in message_of(call), f"{place}: {name} is neither in FIELDS nor in the message"


def test_every_message_starts_with_its_subject() -> None:
    for place, call in log_calls():
        message = message_of(call)
        assert re.match(
            r"(\{version\}|\{app\}|\{problem\}|[a-z]+( \{(hook|name)\}| error)?)(: |  \| )", message or "a: "
        ), f"{place}: {message}"


def test_each_field_is_explained() -> None:
    assert {field for kind in EVENTS for field in kind.fields} == set(FIELDS)


def test_an_event_is_listed_once() -> None:
    ids = [kind.id for kind in EVENTS]
    assert sorted(ids) == sorted(set(ids))
