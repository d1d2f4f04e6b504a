"""The queue of requests: a newer one joins or replaces the one that waits, and nothing is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hanoverd.deploy.requests import Held, Order, Request, Requests
from hanoverd.deploy.targets import Image, Source

ORDER = Order("as a person asked", Image("app:2"), 1)
MISSED = "hookbot was away, and the source has changed: c2"


def test_an_empty_queue_has_no_request() -> None:
    assert Requests().is_empty


def test_triggers_add_up_to_one_request() -> None:
    requests = Requests().trigger("SIGHUP", None).trigger("push", "c1").trigger("SIGHUP", None)
    assert requests.next() == Request(("SIGHUP", "push"), Source("c1"))


def test_the_revision_of_the_newest_trigger_that_names_one_counts() -> None:
    requests = Requests().trigger("push 1", "c1").trigger("push 2", "c2").trigger("SIGHUP", None)
    assert requests.next().target == Source("c2")


def test_the_revision_stays_after_its_request_has_started() -> None:
    requests = Requests().trigger("push", "c1").cleared().trigger("SIGHUP", None)
    assert requests.next() == Request(("SIGHUP",), Source("c1"))


def test_an_order_brings_up_what_it_names_and_takes_the_triggers_with_it() -> None:
    requests = Requests().trigger("push", "c1").ask(ORDER)
    assert requests.next() == Request(("push", ORDER.reason), ORDER.target, ORDER)


def test_a_newer_order_replaces_the_one_that_waits() -> None:
    newer = Order("again", Image("app:3"), 2)
    assert Requests().ask(ORDER).ask(newer).next() == Request(("again",), newer.target, newer)


def test_a_newer_trigger_replaces_the_order_that_waits() -> None:
    assert Requests().ask(ORDER).trigger("push", "c1").next() == Request(("push",), Source("c1"))


def test_an_order_that_is_replaced_takes_its_own_reason_only() -> None:
    requests = Requests().trigger(ORDER.reason, None).ask(ORDER).trigger("push", None)
    assert requests.next().reasons == (ORDER.reason, "push")


def test_a_cleared_queue_forgets_the_order_too() -> None:
    requests = Requests().ask(ORDER).cleared()
    assert (requests.is_empty, requests.order) == (True, None)


# -- what was missed


def test_what_the_source_has_becomes_a_request() -> None:
    requests = Requests().found("c2").catch_up()
    assert (requests.next(), requests.missed) == (Request((MISSED,), Source("c2")), None)


def test_what_was_obtained_meanwhile_was_not_missed() -> None:
    requests = Requests(obtained="c2").found("c2").catch_up()
    assert (requests.is_empty, requests.missed) == (True, None)


def test_nothing_is_caught_up_with_where_nothing_was_missed() -> None:
    assert Requests().catch_up() == Requests()


def test_a_trigger_that_names_a_revision_is_newer_than_what_was_found() -> None:
    assert Requests().found("c2").trigger("push", "c3").missed is None


def test_a_trigger_for_the_newest_obtains_what_was_found() -> None:
    assert Requests().found("c2").trigger("SIGHUP", None).missed is None


def test_a_trigger_that_means_an_older_revision_leaves_what_was_found() -> None:
    requests = Requests(revision="c1").found("c2").trigger("SIGHUP", None)
    assert (requests.next().target, requests.missed) == (Source("c1"), "c2")


# -- pause


def test_triggers_are_held_while_paused() -> None:
    requests = Requests().pause().trigger("push", "c1").found("c2")
    assert requests.is_empty
    assert requests.held == (Held("push", "c1"), Held(MISSED, "c2", is_missed=True))


def test_an_order_is_not_held_while_paused() -> None:
    assert Requests().pause().ask(ORDER).next().order == ORDER


def test_what_was_held_becomes_one_request_in_its_order() -> None:
    requests = Requests().pause().trigger("push 1", "c1").trigger("push 2", "c2").resume()
    assert requests.next() == Request(("push 1", "push 2"), Source("c2"))
    assert (requests.is_paused, requests.held) == (False, ())


def test_what_was_held_may_be_released_without_the_end_of_the_pause() -> None:
    requests = Requests().pause().trigger("push", "c1").release()
    assert (requests.next(), requests.is_paused, requests.held) == (Request(("push",), Source("c1")), True, ())


def test_what_was_obtained_before_is_not_held() -> None:
    requests = Requests(obtained="c2").pause()
    assert requests.found("c2") == requests


def test_what_was_obtained_before_is_held_after_another_trigger() -> None:
    requests = Requests(obtained="c2").pause().trigger("push", "c1").found("c2").resume()
    assert requests.next().target == Source("c2")


def test_what_was_held_and_obtained_since_is_dropped() -> None:
    held = Requests().pause().found("c2")
    assert Requests(held=held.held, obtained="c2", is_paused=True).resume().is_empty


def test_the_end_of_a_pause_without_triggers_requests_nothing() -> None:
    assert Requests().pause().resume() == Requests()


TRIGGERS = st.tuples(st.sampled_from(["SIGHUP", "push"]), st.sampled_from([None, "c1", "c2"]))


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(TRIGGERS, min_size=1), st.integers(0, 5))
def test_a_pause_changes_nothing_about_the_request_that_comes_in_the_end(
    triggers: list[tuple[str, str | None]], before: int
) -> None:
    plain = paused = Requests()
    for index, (reason, revision) in enumerate(triggers):
        if index == before:
            paused = paused.pause()
        plain, paused = plain.trigger(reason, revision), paused.trigger(reason, revision)
    assert paused.resume() == plain
