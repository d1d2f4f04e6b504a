"""Crashes, restarts and apps that die: the live version stays reachable, and hanoverd recovers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.asking import WITHIN, ask, eventually_equal, hostname, names, refused
from tests.integration.conftest import StartDaemon
from tests.lab.clients import Clients
from tests.lab.events import contains
from tests.lab.host import Lab
from tests.lab.images import write_app

URL = "http://{}:8080/"


def alive(lab: Lab) -> str:
    """Return the version that answers the client host."""
    return hostname(lab.in_client, URL.format(lab.host_ip))


def lossless(clients: Clients, at_least: int = 50) -> None:
    """Assert that all requests were answered."""
    counted = clients.finish()
    assert (counted["failed"], counted["cut"], counted["errors"]) == (0, 0, []), counted
    assert counted["ok"] >= at_least


def load(lab: Lab) -> Clients:
    """Send short requests from the client host."""
    return Clients(lab.in_client, lab.host_ip, "8080", "--workers", "2", "--pause", "0.01")


class TestAdoption:
    """A hanoverd that starts after another one."""

    def test_the_live_version_survives_a_kill_and_is_replaced_after_the_restart(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as first:
            first.wait_live("heir-0")
            clients = load(lab)
            first.kill()
        rules = lab.iptables_save()
        assert alive(lab) == "heir-0"
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as second:
            second.wait_event("adopted", version="heir-0")
            second.wait_live("heir-1")
            assert second.wait_gone("heir-0")["connections"] == 0
            lossless(clients)
            assert alive(lab) == "heir-1"
        assert "heir-0" in rules

    def test_a_failed_handover_at_the_start_leaves_the_adopted_version_live_and_monitored(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as first:
            first.wait_live("heir-0")
            first.kill()
        (app_folder / "Dockerfile").write_text("FORM scratch\n")
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as second:
            second.wait_event("waiting", serving="heir-0")
            assert alive(lab) == "heir-0"
            # Its rules are repaired and its exit is noticed, as for any live version.
            subprocess.run(lab.in_host(["iptables", "-t", "nat", "-F"]), check=True)
            second.wait_event("repaired")
            lab.docker("POST", "/containers/heir-0/kill")
            assert second.wait_event("exited", version="heir-0", code=137)["restart_seconds"] is not None
            second.wait_live("heir-2")
            assert alive(lab) == "heir-2"

    def test_candidates_of_a_killed_hanoverd_are_removed(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as first:
            first.wait_live("heir-0")
            # Never ready; but it answers each probe, so that none of them is a connection that the next hanoverd drains.
            write_app(app_folder, env={"STATUS": "503"})
            first.hup()
            first.wait_event("started", version="heir-1")
            first.kill()
        write_app(app_folder)
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as second:
            second.wait_event("adopted_draining", version="heir-1")
            second.wait_live("heir-2")
            eventually_equal(lambda: names(lab.containers("heir")), ["heir-2"])

    def test_rules_without_a_container_are_removed_at_the_start(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as first:
            first.wait_live("heir-0")
            first.kill()
        lab.docker("DELETE", "/containers/heir-0?force=1")
        (app_folder / "Dockerfile").write_text("FORM scratch\n")
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as second:
            second.wait_event("routes_removed", version="heir-0")
            second.wait_event("start_failed")
            assert second.wait() == 1
            assert refused(lab.in_client, URL.format(lab.host_ip))
            assert "HANOVERD" not in lab.iptables_save()

    def test_a_version_without_the_present_ports_serves_until_the_first_flip(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "heir", cwd=app_folder) as first:
            first.wait_live("heir-0")
            first.kill()
        write_app(app_folder, env={"PORTS": "80,81"})
        with daemon("-p", "8080:80", "-p", "8081:81", "--name", "heir", cwd=app_folder) as second:
            second.wait_event("adopted_unready", version="heir-0")
            second.wait_live("heir-1")
            second.wait_gone("heir-0")


class TestClientsOfAKilledVersion:
    """Clients of a killed version notice its end: none of them waits for an answer that cannot come."""

    @pytest.mark.parametrize("way", ["kill", "shim", "remove", "with the engine"])
    @pytest.mark.parametrize("restart", ["always", "no"])
    def test_connections_to_a_killed_version_are_closed_or_reset(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, way: str, restart: str
    ) -> None:
        with daemon("-p", "8080:80", "--name", "gone", "--restart", restart, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("gone-0")
            holding = subprocess.Popen(
                lab.in_client([sys.executable, str(Path(__file__).with_name("holding.py")), lab.host_ip, "8080", "60"]),
                stdout=subprocess.PIPE,
                text=True,
            )
            assert holding.stdout is not None
            assert holding.stdout.readline() == "held\n"
            begun = time.monotonic()
            if way == "remove":
                lab.docker("DELETE", "/containers/gone-0?force=1")
            elif way == "shim":
                lab.engine.kill_shim("gone-0")
            elif way == "with the engine":
                pid = json.loads(lab.docker("GET", "/containers/gone-0/json")[1])["State"]["Pid"]
                lab.engine.kill()
                os.kill(pid, signal.SIGKILL)
                time.sleep(0.5)
                lab.engine.start()
            else:
                lab.docker("POST", "/containers/gone-0/kill")
            out, _ = holding.communicate(timeout=90)
            assert set(json.loads(out)) <= {"closed", "reset"}
            assert time.monotonic() - begun < 45
            if restart == "always":
                hanoverd.wait_live("gone-1")
                assert alive(lab) == "gone-1"
            else:
                hanoverd.wait_event("exited", version="gone-0", restart_seconds=None)


def test_the_kernel_tracks_no_connection_to_a_removed_version(lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
    with daemon("-p", "8080:80", "--name", "past", "--drain-timeout", "2s", cwd=app_folder) as hanoverd:
        address = hanoverd.wait_event("started", version="past-0")["address"]
        hanoverd.wait_live("past-0")
        path = ("--path", "/slow?30", "--timeout", "60")
        clients = [Clients(lab.in_client, lab.host_ip, "8080", *path, "--seconds", "0.1") for _ in range(2)]
        clients.append(Clients(lab.in_host, "127.0.0.1", "8080", *path, "--seconds", "0.1"))
        assert tracked(lab, address)
        hanoverd.hup()
        assert hanoverd.wait_gone("past-0")["connections"] > 0
        assert tracked(lab, address) == []
        for one in clients:
            one.finish()


def tracked(lab: Lab, address: str) -> list[str]:
    """Return the tracked connections to an address that can still be used."""
    command = lab.in_host(["conntrack", "-L", "-p", "tcp", "--reply-src", address])
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if "ESTABLISHED" in line or "SYN" in line]


class TestOnExitKeep:
    """--on-exit keep: an upgrade of hanoverd itself."""

    def test_a_stop_and_a_start_cost_no_request(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        arguments = ("-p", "8080:80", "--name", "kept", "--on-exit", "keep")
        with daemon(*arguments, cwd=app_folder) as first:
            first.wait_live("kept-0")
            clients = load(lab)
            assert first.terminate() == 0
            assert first.events("left_running", app="kept", version="kept-0")
        for number in (1, 2):
            time.sleep(0.5)
            assert names(lab.containers("kept")) == [f"kept-{number - 1}"]
            with daemon(*arguments, cwd=app_folder) as next_one:
                next_one.wait_live(f"kept-{number}")
                next_one.wait_gone(f"kept-{number - 1}")
        lossless(clients)
        with daemon("-p", "8080:80", "--name", "kept", cwd=app_folder) as last:
            last.wait_live("kept-3")

    def test_draining_versions_stay_and_candidates_are_removed(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        arguments = ("-p", "8080:80", "--name", "kept", "--on-exit", "keep")
        with daemon(*arguments, cwd=app_folder) as first:
            address = first.wait_event("started", version="kept-0")["address"]
            first.wait_live("kept-0")
            clients = Clients(lab.in_client, lab.host_ip, "8080", "--path", "/held", "--seconds", "0.1")
            first.hup()
            first.wait_live("kept-1")
            write_app(app_folder, env={"STATUS": "503"})
            first.hup()
            first.wait_event("started", version="kept-2")
            assert first.terminate() == 0
        assert names(lab.containers("kept")) == ["kept-0", "kept-1"]
        write_app(app_folder)
        with daemon("-p", "8080:80", "--name", "kept", cwd=app_folder) as second:
            second.wait_event("adopted", version="kept-1")
            second.wait_event("adopted_draining", version="kept-0")
            ask(lab.in_host, f"http://{address}/release")
            assert second.wait_gone("kept-0")["connections"] == 0
            lossless(clients, at_least=1)

    def test_without_a_live_version_nothing_stays(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        write_app(app_folder, env={"EXIT": "1"})
        with daemon("-p", "8080:80", "--name", "kept", "--on-exit", "keep", cwd=app_folder) as hanoverd:
            hanoverd.wait_event("waiting", serving=None)
        assert names(lab.containers("kept")) == []


class TestRestarts:
    """A live version that exits."""

    def exit(self, lab: Lab, code: int) -> None:
        """Make the live version exit."""
        with pytest.raises(ConnectionError):
            hostname(lab.in_client, f"{URL.format(lab.host_ip)}exit?{code}")

    def test_the_same_image_is_restarted_with_backoff(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        with daemon("-p", "8080:80", "--name", "mortal", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            # The restart uses the image, not the folder.
            (app_folder / "Dockerfile").write_text("FORM scratch\n")
            for number, delay in enumerate((0.1, 0.2, 0.4)):
                self.exit(lab, 9)
                exited = hanoverd.wait_event("exited", version=f"mortal-{number}", code=9, successor=None)
                assert exited["restart_seconds"] == delay
                assert "exiting with 9, as requested" in exited["output"]
                hanoverd.wait_live(f"mortal-{number + 1}")
                assert alive(lab) == f"mortal-{number + 1}"
            eventually_equal(lambda: names(lab.containers("mortal")), ["mortal-3"])

    def test_the_restart_does_not_wait_for_a_slow_build(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        with daemon("-p", "8080:80", "--name", "mortal", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            write_app(app_folder, version="2")
            with (app_folder / "Dockerfile").open("a") as dockerfile:
                dockerfile.write('RUN ["busybox", "sleep", "12"]\n')
            hanoverd.hup()
            hanoverd.wait_event("obtaining", version="mortal-1")
            self.exit(lab, 9)
            hanoverd.wait_live("mortal-2")
            assert not hanoverd.events("live", version="mortal-1")
            assert alive(lab) == "mortal-2"
            # Meanwhile the build continues.
            hanoverd.wait_live("mortal-1")
            eventually_equal(lambda: alive(lab), "mortal-1")
            hanoverd.wait_event("output", version="mortal-1", line=contains("as version 2"))

    def test_a_stream_of_triggers_does_not_prevent_the_restart(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "mortal", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            self.exit(lab, 9)
            down = hanoverd.wait_event("exited", successor=None)
            deadline = time.monotonic() + WITHIN
            while not hanoverd.events("live", after=down):
                assert time.monotonic() < deadline, "not live"
                hanoverd.hup()
                time.sleep(0.02)

    def test_the_restart_policy_limits_restarts(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        with daemon("-p", "8080:80", "--name", "mortal", "--restart", "on-failure:1", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            self.exit(lab, 3)
            hanoverd.wait_live("mortal-1")
            self.exit(lab, 3)
            hanoverd.wait_event("exited", version="mortal-1", code=3, successor=None, restart_seconds=None)
            hanoverd.hup()
            hanoverd.wait_live("mortal-2")
            self.exit(lab, 0)
            hanoverd.wait_event("exited", version="mortal-2", code=0, successor=None, restart_seconds=None)

    def test_a_draining_version_takes_the_place_of_a_dead_one(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        arguments = ("-p", "8080:80", "--name", "mortal", "--overlap-grace-duration", "10m", "--restart", "no")
        with daemon(*arguments, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            hanoverd.hup()
            hanoverd.wait_live("mortal-1")
            self.exit(lab, 1)
            hanoverd.wait_event("exited", version="mortal-1", code=1, successor="mortal-0", restart_seconds=None)
            hanoverd.wait_event("reinstated", version="mortal-0")
            assert alive(lab) == "mortal-0"
            # It is replaced like any other live version.
            hanoverd.hup()
            hanoverd.wait_live("mortal-2")
            self.exit(lab, 1)
            hanoverd.wait_event("exited", version="mortal-2", code=1, successor="mortal-0")

    def test_a_killed_version_is_restarted(self, lab: Lab, app_folder: Path, daemon: StartDaemon) -> None:
        with daemon("-p", "8080:80", "--name", "mortal", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            lab.docker("POST", "/containers/mortal-0/kill?signal=SIGKILL")
            hanoverd.wait_event("exited", version="mortal-0", code=137)
            hanoverd.wait_live("mortal-1")

    def test_a_new_version_is_not_replaced_by_the_restart_of_an_old_one(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "mortal", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("mortal-0")
            write_app(app_folder, version="two", env={"READY_AFTER": "2"})
            hanoverd.hup()
            hanoverd.wait_event("started", version="mortal-1")
            self.exit(lab, 1)
            hanoverd.wait_live("mortal-1")
            time.sleep(1)
            assert alive(lab) == "mortal-1"
            found = json.loads(lab.docker("GET", "/containers/mortal-1/json")[1])
            assert "VERSION=two" in found["Config"]["Env"]
            eventually_equal(lambda: names(lab.containers("mortal")), ["mortal-1"])


def test_hooks_run_at_each_event_and_a_ready_hook_can_reject_a_version(
    lab: Lab, app_folder: Path, tmp_path: Path, daemon: StartDaemon
) -> None:
    calls = tmp_path / "calls"
    events = [
        option
        for event in ("obtained", "ready", "live", "failed", "drained", "died")
        for option in ("--hook", f'{event}=echo "$HANOVERD_EVENT $HANOVERD_OLD $HANOVERD_NEW" >> {calls}')
    ]
    events += ["--hook", f'live=echo "$HANOVERD_OLD_ID>$HANOVERD_NEW_ID" >> {tmp_path}/ids']
    veto = ("--hook", f"ready=echo looking; ! test -e {tmp_path}/veto")
    with daemon("-p", "8080:80", "--name", "hooked", *events, *veto, cwd=app_folder) as hanoverd:
        hanoverd.wait_live("hooked-0")
        hanoverd.wait_event("hook_output", hook="ready", line="looking")
        hanoverd.hup()
        hanoverd.wait_gone("hooked-0")
        (tmp_path / "veto").touch()
        hanoverd.hup()
        assert "exit status 1" in hanoverd.wait_event("failed", version="hooked-2")["error"]
        assert alive(lab) == "hooked-1"
        [first, second] = (tmp_path / "ids").read_text().splitlines()
        assert (
            second == f"{first.removeprefix('>')}>{json.loads(lab.docker('GET', '/containers/hooked-1/json')[1])['Id']}"
        )
        (tmp_path / "veto").unlink()
        lab.docker("POST", "/containers/hooked-1/kill")
        hanoverd.wait_live("hooked-3")
        wanted = [
            *("obtained  hooked-0", "ready  hooked-0", "live  hooked-0"),
            *(
                "obtained hooked-0 hooked-1",
                "ready hooked-0 hooked-1",
                "live hooked-0 hooked-1",
                "drained hooked-1 hooked-0",
            ),
            *("obtained hooked-1 hooked-2", "ready hooked-1 hooked-2", "failed hooked-1 hooked-2"),
            *("died  hooked-1", "ready  hooked-3", "live  hooked-3"),
        ]
        eventually_equal(lambda: sorted(calls.read_text().splitlines()), sorted(wanted))


class TestHealth:
    """A live version that runs but does not answer."""

    ARGUMENTS = ("-p", "8080:80", "--name", "ill", "--watch", "300ms", "--watch-failures", "2")

    def test_an_unhealthy_version_is_replaced_by_a_new_container_of_its_image(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon(*self.ARGUMENTS, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("ill-0")
            time.sleep(1)
            assert not hanoverd.events("unhealthy")
            lab.docker("POST", "/containers/ill-0/pause")
            hanoverd.wait_event("unhealthy", version="ill-0", count=1, limit=2, reason=contains("port 80: "))
            hanoverd.wait_event("replacing", version="ill-0", restart_seconds=0.1)
            hanoverd.wait_live("ill-1")
            assert alive(lab) == "ill-1"
            lab.docker("POST", "/containers/ill-0/unpause")
            eventually_equal(lambda: names(lab.containers("ill")), ["ill-1"])

    def test_a_version_is_replaced_when_its_healthcheck_fails(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon, tmp_path: Path
    ) -> None:
        check = '["busybox", "sh", "-c", "echo looked; ! busybox test -e /data/sick"]'
        with (app_folder / "Dockerfile").open("a") as dockerfile:
            dockerfile.write(f"HEALTHCHECK --interval=300ms --retries=1 CMD {check}\n")
        data = tmp_path / "data"
        data.mkdir()
        with daemon(*self.ARGUMENTS, "-v", f"{data}:/data", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("ill-0")
            time.sleep(2)
            assert not hanoverd.events("unhealthy")
            (data / "sick").touch()
            hanoverd.wait_event("replacing", version="ill-0", reason=contains("HEALTHCHECK"))
            (data / "sick").unlink()
            hanoverd.wait_live("ill-1")
            assert alive(lab) == "ill-1"

    def test_an_unhealthy_version_that_has_not_settled_is_rolled_back(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        quick = ("--drain-timeout", "1s", "--stop-timeout", "1")
        with daemon(*self.ARGUMENTS, "--settle", "15s", *quick, cwd=app_folder) as hanoverd:
            hanoverd.wait_live("ill-0")
            hanoverd.hup()
            hanoverd.wait_live("ill-1")
            lab.docker("POST", "/containers/ill-1/pause")
            hanoverd.wait_event("rolled_back", version="ill-1", successor="ill-0")
            hanoverd.wait_event("reinstated", version="ill-0")
            assert alive(lab) == "ill-0"
            lab.docker("POST", "/containers/ill-1/unpause")
            eventually_equal(lambda: names(lab.containers("ill")), ["ill-0"])

    def test_a_version_that_exits_before_it_has_settled_is_rolled_back(
        self, lab: Lab, app_folder: Path, daemon: StartDaemon
    ) -> None:
        with daemon("-p", "8080:80", "--name", "ill", "--settle", "10m", cwd=app_folder) as hanoverd:
            hanoverd.wait_live("ill-0")
            hanoverd.hup()
            hanoverd.wait_live("ill-1")
            lab.docker("POST", "/containers/ill-1/kill")
            hanoverd.wait_event("exited", version="ill-1", code=137, successor="ill-0", restart_seconds=None)
            hanoverd.wait_event("reinstated", version="ill-0")
            assert alive(lab) == "ill-0"
