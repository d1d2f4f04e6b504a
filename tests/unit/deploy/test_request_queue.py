"""The queue of requests: a newer one joins or replaces the one that waits, and nothing is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hanoverd.deploy.requests import MOST, Command, Held, Request, Requests
from hanoverd.deploy.targets import Image, Source

COMMAND = Command("as a person asked", Image("app:2"), 1)
MISSED = "hookbot was away, and the source has changed: c2"


def test_an_empty_queue_has_no_request() -> None:
    assert Requests().is_empty


def test_triggers_add_up_to_one_request() -> None:
    requests = Requests().add_trigger("SIGHUP", None).add_trigger("push", "c1").add_trigger("SIGHUP", None)
    assert requests.next_request() == Request(("SIGHUP", "push"), Source("c1"))


def test_the_revision_of_the_newest_trigger_that_names_one_counts() -> None:
    requests = Requests().add_trigger("push 1", "c1").add_trigger("push 2", "c2").add_trigger("SIGHUP", None)
    assert requests.next_request().target == Source("c2")


def test_the_revision_stays_after_its_request_has_started() -> None:
    requests = Requests().add_trigger("push", "c1").cleared().add_trigger("SIGHUP", None)
    assert requests.next_request() == Request(("SIGHUP",), Source("c1"))


def test_an_order_brings_up_what_it_names_and_takes_the_triggers_with_it() -> None:
    requests = Requests().add_trigger("push", "c1").add_command(COMMAND)
    assert requests.next_request() == Request(("push", COMMAND.reason), COMMAND.target, COMMAND)


def test_a_newer_order_replaces_the_one_that_waits() -> None:
    newer = Command("again", Image("app:3"), 2)
    assert Requests().add_command(COMMAND).add_command(newer).next_request() == Request(("again",), newer.target, newer)


def test_a_newer_trigger_replaces_the_order_that_waits() -> None:
    assert Requests().add_command(COMMAND).add_trigger("push", "c1").next_request() == Request(("push",), Source("c1"))


def test_an_order_that_is_replaced_takes_its_own_reason_only() -> None:
    requests = Requests().add_trigger(COMMAND.reason, None).add_command(COMMAND).add_trigger("push", None)
    assert requests.next_request().reasons == (COMMAND.reason, "push")


def test_after_an_order_for_the_newest_revision_an_older_one_no_longer_counts() -> None:
    requests = Requests().add_trigger("push", "c1").add_command(Command("deploy", Source(), 1)).cleared()
    assert requests.add_trigger("SIGHUP", None).next_request().target == Source()
    assert Requests().add_trigger("push", "c1").add_command(COMMAND).revision == "c1"


def test_a_cleared_queue_forgets_the_order_too() -> None:
    requests = Requests().add_command(COMMAND).cleared()
    assert (requests.is_empty, requests.command) == (True, None)


# -- what is skipped if it would change nothing

IF_CHANGED = Command("if changed", Source(), 3, if_changed=True)


def test_triggers_are_skipped_as_the_policy_says() -> None:
    requests = Requests().add_trigger("SIGHUP", None)
    assert [requests.next_request(if_changed=skips).if_changed for skips in (False, True)] == [False, True]


def test_a_command_is_skipped_as_it_says() -> None:
    assert Requests().add_command(IF_CHANGED).next_request().if_changed
    assert not Requests().add_command(COMMAND).next_request(if_changed=True).if_changed


def test_a_command_that_takes_triggers_with_it_is_skipped_only_if_they_would_be() -> None:
    requests = Requests().add_trigger("SIGHUP", None).add_command(IF_CHANGED)
    assert [requests.next_request(if_changed=skips).if_changed for skips in (False, True)] == [False, True]


def test_what_replaces_a_command_that_was_to_be_carried_out_is_carried_out() -> None:
    for requests in (
        Requests().add_command(COMMAND).add_command(IF_CHANGED),
        Requests().add_command(COMMAND).add_trigger("push", "c1"),
        Requests().add_command(COMMAND).add_command(IF_CHANGED).add_trigger("push", "c1"),
    ):
        assert not requests.next_request(if_changed=True).if_changed
        assert requests.cleared().add_trigger("push", "c1").next_request(if_changed=True).if_changed


# -- what was missed


def test_what_the_source_has_becomes_a_request() -> None:
    requests = Requests().newest_found("c2").catch_up()
    assert (requests.next_request(), requests.missed) == (Request((MISSED,), Source("c2")), None)


def test_what_was_obtained_meanwhile_was_not_missed() -> None:
    requests = Requests(obtained="c2").newest_found("c2").catch_up()
    assert (requests.is_empty, requests.missed) == (True, None)


def test_nothing_is_caught_up_with_where_nothing_was_missed() -> None:
    assert Requests().catch_up() == Requests()


def test_a_trigger_that_names_a_revision_is_newer_than_what_was_found() -> None:
    assert Requests().newest_found("c2").add_trigger("push", "c3").missed is None


def test_a_trigger_for_the_newest_obtains_what_was_found() -> None:
    assert Requests().newest_found("c2").add_trigger("SIGHUP", None).missed is None


def test_a_trigger_that_means_an_older_revision_leaves_what_was_found() -> None:
    requests = Requests(revision="c1").newest_found("c2").add_trigger("SIGHUP", None)
    assert (requests.next_request().target, requests.missed) == (Source("c1"), "c2")


# -- pause


def test_triggers_are_held_while_paused() -> None:
    requests = Requests().pause().add_trigger("push", "c1").newest_found("c2")
    assert requests.is_empty
    assert requests.held == (Held("push", "c1"), Held(MISSED, "c2", is_missed=True))


def test_an_order_is_not_held_while_paused() -> None:
    assert Requests().pause().add_command(COMMAND).next_request().command == COMMAND


def test_what_was_held_becomes_one_request_in_its_order() -> None:
    requests = Requests().pause().add_trigger("push 1", "c1").add_trigger("push 2", "c2").resume()
    assert requests.next_request() == Request(("push 1", "push 2"), Source("c2"))
    assert (requests.is_paused, requests.held) == (False, ())


def test_what_was_held_may_be_released_without_the_end_of_the_pause() -> None:
    requests = Requests().pause().add_trigger("push", "c1").release()
    assert (requests.next_request(), requests.is_paused, requests.held) == (Request(("push",), Source("c1")), True, ())


def test_what_was_obtained_before_is_not_held() -> None:
    requests = Requests(obtained="c2").pause()
    assert requests.newest_found("c2") == requests


def test_what_was_obtained_before_is_held_after_another_trigger() -> None:
    requests = Requests(obtained="c2").pause().add_trigger("push", "c1").newest_found("c2").resume()
    assert requests.next_request().target == Source("c2")


def test_what_was_held_and_obtained_since_is_dropped() -> None:
    held = Requests().pause().newest_found("c2")
    assert Requests(held=held.held, obtained="c2", is_paused=True).resume().is_empty


def test_the_end_of_a_pause_without_triggers_requests_nothing() -> None:
    assert Requests().pause().resume() == Requests()


def test_equal_triggers_are_held_once_and_counted() -> None:
    requests = Requests().pause()
    for _ in range(3):
        requests = requests.add_trigger("SIGHUP", None).add_trigger("push", "c1").newest_found("c2")
    assert requests.held[0] == Held("SIGHUP", None, count=3)
    assert requests.held_count == 9
    assert requests.resume().held_count == 0


def test_the_number_of_held_triggers_is_limited_and_the_newest_stay() -> None:
    requests = Requests().pause()
    for number in range(10_000):
        requests = requests.add_trigger(f"push {number}", f"c{number}")
    assert (len(requests.held), requests.held_count) == (MOST, 10_000)
    assert [one.reason for one in requests.held] == [f"push {number}" for number in range(10_000 - MOST, 10_000)]
    assert requests.resume().next_request().target == Source("c9999")


def test_a_revision_is_not_lost_with_the_trigger_that_named_it() -> None:
    requests = Requests(revision="c0").pause().add_trigger("push", "c1")
    for number in range(2 * MOST):
        requests = requests.add_trigger(f"reason {number}", None)
    assert len(requests.held) == MOST
    assert requests.resume().next_request().target == Source("c1")


def test_the_number_of_reasons_of_a_request_is_limited() -> None:
    requests = Requests()
    for number in range(10_000):
        requests = requests.add_trigger(f"push {number}", None).add_trigger("SIGHUP", None)
    assert len(requests.reasons) == MOST
    assert requests.add_command(COMMAND).next_request().reasons[-2:] == ("push 9999", COMMAND.reason)


TRIGGERS = st.tuples(st.sampled_from(["SIGHUP", "push"]), st.sampled_from([None, "c1", "c2"]))


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(TRIGGERS, min_size=1, max_size=4 * MOST), st.integers(0, 5))
def test_a_limit_of_the_held_triggers_changes_nothing_about_the_revision(
    triggers: list[tuple[str, str | None]], before: int
) -> None:
    plain = paused = Requests()
    for index, (reason, revision) in enumerate(triggers):
        if index == before:
            paused = paused.pause()
        different = f"{reason} {index}"
        plain, paused = plain.add_trigger(different, revision), paused.add_trigger(different, revision)
    assert len(paused.held) <= MOST
    assert paused.resume().next_request().target == plain.next_request().target


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(TRIGGERS, min_size=1, max_size=MOST), st.integers(0, 5))
def test_a_pause_changes_nothing_about_the_request_that_comes_in_the_end(
    triggers: list[tuple[str, str | None]], before: int
) -> None:
    plain = paused = Requests()
    for index, (reason, revision) in enumerate(triggers):
        if index == before:
            paused = paused.pause()
        plain, paused = plain.add_trigger(reason, revision), paused.add_trigger(reason, revision)
    assert paused.resume() == plain
