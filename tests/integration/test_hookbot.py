"""Deploy on push: hookbot, the builder and the daemon as their users run them."""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.asking import ask, eventually, eventually_equal, hostname
from tests.integration.conftest import StartDaemon
from tests.lab.api import get_json
from tests.lab.clients import Clients
from tests.lab.daemon import (
    GITHUB_SECRET,
    HOOKBOT_PORT,
    Daemon,
    hookbot_server,
    hookbot_url,
    run_to_end,
    token_of,
)
from tests.lab.events import contains
from tests.lab.git import Repository, https_host
from tests.lab.host import Lab
from tests.lab.images import write_app
from tests.lab.registry import PASSWORD, USER, registry

WEBHOOK = Path(__file__).parents[1] / "lab" / "webhook.py"
BRANCH = "/sub/github.com/repo/me/app/branch/main"


def publish(lab: Lab, path: str, body: str) -> str:
    """Publish a message with curl."""
    url = f"http://127.0.0.1:{HOOKBOT_PORT}{path}"
    command = ["curl", "-sS", "-u", f"{token_of(path)}:", "--data-binary", body, url]
    return subprocess.run(lab.in_host(command), capture_output=True, text=True, check=True).stdout


def push_message(commit: str, **changed: str) -> str:
    """Return the message that hookbot's router publishes for a push."""
    return json.dumps({"Type": "push", "Repo": "me/app", "Branch": "main", "SHA": commit, "Who": "lab", **changed})


class Hosted:
    """The app's repository on a git host that git uses as github.com; ``notify_hookbot`` adds a webhook."""

    def __init__(self, lab: Lab, folder: Path, address: str, ca: str) -> None:
        self.repository = Repository(folder / "work", folder / "hosted" / "me" / "app")
        self.state = folder / "state"
        config = folder / "gitconfig"
        config.write_text(f'[url "https://{address}/"]\n\tinsteadOf = https://github.com/\n')
        self.environ = {"GIT_CONFIG_GLOBAL": str(config), "GIT_SSL_CAINFO": ca}
        self._lab = lab

    def notify_hookbot(self) -> None:
        """Notify hookbot of pushes from now on."""
        url = f"http://127.0.0.1:{HOOKBOT_PORT}/unsafe/pub/github.com/?extra-metadata=github"
        command = self._lab.in_host([sys.executable, str(WEBHOOK), url, GITHUB_SECRET, "me/app"])
        hook = self.repository.bare / "hooks" / "post-receive"
        hook.write_text(f"#!/bin/sh\nexec {shlex.join(command)}\n")
        hook.chmod(0o755)

    def push(self, version: str) -> str:
        """Commit and push a version of the app."""
        write_app(self.repository.work, version=version)
        return self.repository.commit({})


@pytest.fixture
def hosted(lab: Lab, tmp_path: Path) -> Iterator[Hosted]:
    """A git host on the lab's first host."""
    with https_host(tmp_path / "hosted", prefixed=lab.in_host) as host:
        yield Hosted(lab, tmp_path, host.name, host.environ["GIT_SSL_CAINFO"])


@pytest.fixture
def hookbot(lab: Lab) -> Iterator[Daemon]:
    """A running hookbot server."""
    with hookbot_server(lab, "--router=github") as server:
        yield server


@contextmanager
def deployed(daemon: StartDaemon, hosted: Hosted, *arguments: str, cwd: Path, topic: str = BRANCH) -> Iterator[Daemon]:
    """Run hanoverd, which follows the branch."""
    environ = {**hosted.environ, "HOOKBOT_URL": hookbot_url(topic)}
    with daemon("-p", "8080:80", "--state-dir", str(hosted.state), *arguments, cwd=cwd, env=environ) as hanoverd:
        hanoverd.wait_event("hookbot_connected")
        hanoverd.wait_live("app-0")
        yield hanoverd


def version(lab: Lab) -> str:
    """Return the version number that the live version prints."""
    return ask(lab.in_client, f"http://{lab.host_ip}:8080/").split()[1]


def test_a_push_reaches_the_clients_without_a_lost_request(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    hosted.push("one")
    hosted.notify_hookbot()
    image = "docker-pull/127.0.0.1:5000/me/app/tag/main"
    with registry(lab, tmp_path / "registry") as address:
        notify = {
            "HOOKBOT_MONITOR_URL": hookbot_url(BRANCH),
            "HOOKBOT_DOCKER_NOTIFY_URL": hookbot_url(f"/pub/{image}", "http"),
        }
        with Daemon(
            lab, ["builder", "--state-dir", str(hosted.state)], tmp_path, {**hosted.environ, **notify}
        ) as builder:
            builder.wait_event("pushed", image=f"{address}/me/app:main")
            with daemon("-p", "8080:80", cwd=tmp_path, env={"HOOKBOT_URL": hookbot_url(f"/sub/{image}")}) as hanoverd:
                hanoverd.wait_live("app-0")
                hanoverd.wait_event("hookbot_connected")
                clients = Clients(lab.in_client, lab.host_ip, "8080", "--pause", "0.01")
                for number, name in enumerate(("two", "three"), 1):
                    begun = time.monotonic()
                    hosted.push(name)
                    hanoverd.wait_live(f"app-{number}")
                    assert version(lab) == name
                    print(f"from push to live: {time.monotonic() - begun:.2f} s")
                counted = clients.finish()
                assert (counted["failed"], counted["cut"]) == (0, 0)
                assert counted["ok"] > 50
                assert hostname(lab.in_client, f"http://{lab.host_ip}:8080/") == "app-2"
                for process in (hookbot, builder, hanoverd):
                    for topic in (BRANCH, f"/sub/{image}", f"/pub/{image}"):
                        assert token_of(topic) not in process.log()


def test_a_push_that_changes_nothing_is_skipped_with_if_changed(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    hosted.push("one")
    hosted.notify_hookbot()
    with deployed(daemon, hosted, "--if-changed", cwd=tmp_path) as hanoverd:
        [image] = {one["ImageID"] for one in lab.containers("app")}
        tags = json.loads(lab.docker("GET", f"/images/{image}/json")[1])["RepoTags"]
        # Another commit, with the same files.
        hosted.repository.commit({})
        hanoverd.wait_event("unchanged", version="app-0")
        # The name of the second build is removed again: with two, the image would never be.
        assert json.loads(lab.docker("GET", f"/images/{image}/json")[1])["RepoTags"] == tags
        hosted.push("two")
        hanoverd.wait_live("app-2")
        assert version(lab) == "two"


def test_the_names_of_builds_that_are_the_same_image_do_not_pile_up(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    hosted.push("an image of its own")
    hosted.notify_hookbot()

    def tags() -> list[str]:
        [image] = {one["ImageID"] for one in lab.containers("app") if one["State"] == "running"}
        found: list[str] = json.loads(lab.docker("GET", f"/images/{image}/json")[1])["RepoTags"]
        return found

    with deployed(daemon, hosted, cwd=tmp_path) as hanoverd:
        [first] = tags()
        hosted.repository.commit({})
        hanoverd.wait_live("app-1")
        hanoverd.wait_gone("app-0")
        eventually(lambda: first not in tags())
        assert len(tags()) == 1


def deliver(lab: Lab, payload: str) -> str:
    """Send a webhook as GitHub does, with curl; return the status of the answer and its text."""
    signature = hmac.new(GITHUB_SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    url = f"http://127.0.0.1:{HOOKBOT_PORT}/unsafe/pub/github.com/?extra-metadata=github"
    headers = ["-H", "X-GitHub-Event: push", "-H", f"X-Hub-Signature-256: sha256={signature}"]
    command = ["curl", "-sS", "-w", "%{http_code}", *headers, "--data-binary", payload, url]
    return subprocess.run(lab.in_host(command), capture_output=True, text=True, check=True).stdout


def test_a_copy_of_a_webhook_starts_nothing(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    commits = [hosted.push("one")]
    with deployed(daemon, hosted, cwd=tmp_path) as hanoverd:
        payloads = []
        for number, name in enumerate(("two", "three"), 1):
            commits.append(hosted.push(name))
            push = {
                "ref": "refs/heads/main",
                "before": commits[-2],
                "after": commits[-1],
                "repository": {"full_name": "me/app", "pushed_at": int(time.time())},
            }
            payloads.append(json.dumps(push))
            assert deliver(lab, payloads[-1]) == "OK\n200"
            hanoverd.wait_live(f"app-{number}")
        before = hanoverd.position
        for payload in payloads * 2:
            assert deliver(lab, payload).endswith("409")
            hookbot.wait_event("webhook_dropped", error=contains("it was delivered before"))
        # The next message is the first that arrives.
        publish(lab, BRANCH.replace("/sub", "/pub"), "nonsense")
        hanoverd.wait_event("hookbot_message_dropped", after=before)
        assert not hanoverd.events("trigger", after=before)
        assert version(lab) == "three"


def test_a_message_selects_the_commit_and_sighup_deploys_it_again(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    first = hosted.push("one")
    with deployed(daemon, hosted, cwd=tmp_path) as hanoverd:
        assert version(lab) == "one"
        second, third = (hosted.push(name) for name in ("two", "three"))
        assert publish(lab, BRANCH.replace("/sub", "/pub"), push_message(second)) == "OK\n"
        hanoverd.wait_event("trigger", reasons=[f"lab pushed {second[:12]}"])
        hanoverd.wait_live("app-1")
        assert version(lab) == "two"
        hanoverd.hup()
        hanoverd.wait_live("app-2")
        assert version(lab) == "two"
        publish(lab, BRANCH.replace("/sub", "/pub"), push_message(third))
        hanoverd.wait_live("app-3")
        # Old messages that are sent again, and a commit that is on no branch.
        for commit, reason in (
            (first, "is older than"),
            (second, "is older than"),
            ("1" * 40, "is not on branch main"),
        ):
            before = hanoverd.position
            publish(lab, BRANCH.replace("/sub", "/pub"), push_message(commit))
            hanoverd.wait_event("failed", error=contains(reason), after=before)
            hanoverd.wait_event("waiting", serving="app-3", after=before)
        assert version(lab) == "three"


def test_invalid_messages_are_logged_and_dropped(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    commit = hosted.push("one")
    with deployed(daemon, hosted, cwd=tmp_path) as hanoverd:
        for message, reason in (
            ("nonsense", 'it should be JSON with Repo, Branch and SHA, not "nonsense"'),
            (push_message("--upload-pack=x"), "is not a commit"),
            (push_message("0" * 40), "the branch was deleted"),
            (push_message(commit, Repo="me/other"), 'its repository is "me/other", not "me/app"'),
            (push_message(commit, Branch="other"), 'its branch is "other", not "main"'),
            ("[" * 100_000, "it should be JSON"),
        ):
            publish(lab, BRANCH.replace("/sub", "/pub"), message)
            hanoverd.wait_event("hookbot_message_dropped", error=contains(reason))
        publish(lab, BRANCH.replace("/sub", "/pub"), push_message("1" * 40))
        hanoverd.wait_event("failed", error=contains("https://github.com/me/app"))
        hanoverd.wait_event("waiting", serving="app-0")
        assert version(lab) == "one"
        first, last = get_json(str(lab.runtime / "app.sock"), "/history")
        assert (first["revision"], last["outcome"], last["revision"]) == (commit, "failed", "")
        assert last["asked_by"] == [
            {"kind": "hookbot", "user": "", "uid": None, "topic": BRANCH.removeprefix("/sub/"), "commit": "1" * 40}
        ]


def test_a_push_while_hookbot_was_away_is_deployed_later(
    lab: Lab, hosted: Hosted, daemon: StartDaemon, tmp_path: Path
) -> None:
    hosted.push("one")
    server = hookbot_server(lab)
    with deployed(daemon, hosted, cwd=tmp_path) as hanoverd:
        for number in (1, 2):
            with server:
                pass
            hanoverd.wait_event("hookbot_lost")
            if number == 1:
                hosted.push("two")
            before = hanoverd.position
            server = hookbot_server(lab)
            hanoverd.wait_event("hookbot_connected", after=before)
            if number == 1:
                hanoverd.wait_event("trigger", reasons=contains("hookbot was away"), after=before)
                hanoverd.wait_live("app-1", after=before)
                assert version(lab) == "two"
        # Without a new commit there is no handover.
        time.sleep(2)
        assert not hanoverd.events("trigger", after=before)
    with server:
        pass


def test_a_burst_of_messages_deploys_the_newest_commit(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    hosted.push("first")
    with deployed(daemon, hosted, cwd=tmp_path) as hanoverd:
        commits = [hosted.push(f"v{number}") for number in range(5)]
        # The last ones are sent again, and older than the newest.
        for commit in (commits * 4)[:-2]:
            publish(lab, BRANCH.replace("/sub", "/pub"), push_message(commit))
        eventually(lambda: version(lab) in ("v2", "v4"))
        publish(lab, BRANCH.replace("/sub", "/pub"), push_message(commits[4]))
        eventually_equal(lambda: version(lab), "v4")
        eventually_equal(lambda: len(lab.containers("app")), 1)
        assert len(hanoverd.events("live")) <= 5


def test_an_image_pushed_while_hookbot_was_away_is_deployed_later(
    lab: Lab, daemon: StartDaemon, app_folder: Path, tmp_path: Path
) -> None:
    topic = "/docker-pull/127.0.0.1:5000/me/app/tag/main"
    with registry(lab, tmp_path / "registry") as address:
        server = hookbot_server(lab)

        def push(name: str) -> None:
            write_app(app_folder, version=name)
            environ = {"DOCKER_HOST": lab.docker_host, "DOCKER_BUILDKIT": "0", "PATH": "/usr/local/bin:/usr/bin:/bin"}
            for command in (["build", "-q", "-t", f"{address}/me/app:main", "."], ["push", f"{address}/me/app:main"]):
                subprocess.run(["docker", *command], cwd=app_folder, env=environ, capture_output=True, check=True)

        push("one")
        with daemon("-p", "8080:80", "--hookbot", hookbot_url(f"/sub{topic}"), cwd="/") as hanoverd:
            hanoverd.wait_event("hookbot_connected")
            hanoverd.wait_live("app-0")
            push("two")
            assert publish(lab, f"/pub{topic}", "UPDATE\n") == "OK\n"
            hanoverd.wait_live("app-1")
            assert version(lab) == "two"
            publish(lab, f"/pub{topic}", "something else")
            hanoverd.wait_event("hookbot_message_dropped", error=contains('"something else"'))
            with server:
                pass
            push("three")
            before = hanoverd.position
            with hookbot_server(lab):
                hanoverd.wait_live("app-2", after=before)
                assert version(lab) == "three"
                # The next message deploys the image that the tag has then.
                push("four")
                publish(lab, f"/pub{topic}", "UPDATE\n")
                hanoverd.wait_live("app-3", after=before)
                assert version(lab) == "four"
                [container] = eventually(lambda: lab.containers("app")[-1:])
                assert container["Labels"]["hanoverd.image-name"] == f"{address}/me/app:main"


def test_the_token_appears_in_no_process_list_label_or_log(
    lab: Lab, hosted: Hosted, hookbot: Daemon, daemon: StartDaemon, tmp_path: Path
) -> None:
    hosted.push("one")
    token = token_of(BRANCH)
    arguments = ["-p", "8080:80", "--state-dir", str(hosted.state), "--hookbot", hookbot_url(BRANCH)]
    with daemon(*arguments, cwd=tmp_path, env=hosted.environ) as hanoverd:
        hanoverd.wait_live("app-0")
        hanoverd.wait_event("hookbot_connected", url=f"ws://127.0.0.1:8090{BRANCH}")
        listed = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert "--publish=8080:80" in listed
        [container] = lab.containers("app")
        inspected = lab.docker("GET", f"/containers/{container['Id']}/json")[1].decode()
        saved = json.dumps(get_json(str(lab.runtime / "app.sock"), "/history"))
        for text in (listed, hanoverd.log(), inspected, saved):
            assert token not in text


def test_the_command_hides_its_token_and_keeps_its_name(lab: Lab, hookbot: Daemon, app_folder: Path) -> None:
    program = [str(Path(sys.executable).with_name("hanoverd"))]
    arguments = ["-p", "8080:80", f"--hookbot={hookbot_url('/sub/hanoverd/cwd')}", "--name", "quiet", "@"]
    with Daemon(lab, arguments, app_folder, program=program) as hanoverd:
        hanoverd.wait_event("hookbot_connected")
        hanoverd.wait_live("quiet-0")
        # As `pgrep -x hanoverd` finds it.
        assert Path(f"/proc/{hanoverd.pid}/comm").read_text() == "hanoverd\n"
        assert token_of("/sub/hanoverd/cwd") not in Path(f"/proc/{hanoverd.pid}/cmdline").read_text()


def test_a_message_builds_the_folder(lab: Lab, hookbot: Daemon, daemon: StartDaemon, app_folder: Path) -> None:
    environ = {"HOOKBOT_URL": hookbot_url("/sub/hanoverd/cwd")}
    with daemon("-p", "8080:80", cwd=app_folder, env=environ) as hanoverd:
        hanoverd.wait_event("hookbot_connected")
        hanoverd.wait_live("app-0")
        write_app(app_folder, version="two")
        publish(lab, "/pub/hanoverd/cwd", "go")
        hanoverd.wait_live("app-1")
        assert version(lab) == "two"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hookbot", "ws://T@127.0.0.1/sub/elsewhere"], "/sub/HOST/repo/USER/REPO/branch/BRANCH"),
        (["--hookbot", "ws://T@127.0.0.1/unsafe/sub/hanoverd/cwd"], "--hookbot-unsafe"),
        (["builder", "--listen", "ws://T@127.0.0.1/sub/hanoverd/cwd", "--docker-notify", "x"], "--docker-notify"),
    ],
)
def test_an_unknown_topic_is_refused_at_the_start(
    lab: Lab, app_folder: Path, arguments: list[str], message: str
) -> None:
    status, out, err = run_to_end(lab, arguments, app_folder)
    assert (status, out) == (125, "")
    assert message in err
    assert "T@" not in err


def test_a_start_without_hookbot_succeeds_and_is_logged(lab: Lab, daemon: StartDaemon, app_folder: Path) -> None:
    environ = {"HOOKBOT_URL": hookbot_url("/sub/hanoverd/cwd", port=1)}
    with daemon("-p", "8080:80", cwd=app_folder, env=environ) as hanoverd:
        hanoverd.wait_event("hookbot_lost", url="ws://127.0.0.1:1/sub/hanoverd/cwd")
        hanoverd.wait_live("app-0")


class TestBuilder:
    """The builder without hanoverd."""

    @pytest.fixture
    def environ(self, lab: Lab, tmp_path: Path) -> Iterator[dict[str, str]]:
        """A registry that needs a login, and the environment of a builder that has it."""
        with registry(lab, tmp_path / "registry", login=True) as address:
            folder = tmp_path / "docker"
            folder.mkdir()
            auths = {address: {"username": USER, "password": PASSWORD}}
            (folder / "config.json").write_text(json.dumps({"auths": auths}))
            yield {
                "DOCKER_CONFIG": str(folder),
                "HOOKBOT_MONITOR_URL": hookbot_url("/sub/hanoverd/cwd"),
                "HOOKBOT_DOCKER_NOTIFY_URL": hookbot_url(f"/pub/docker-pull/{address}/me/app/tag/v1", "http"),
            }

    def tags(self, lab: Lab) -> str:
        """Return the tags of the app in the registry."""
        url = "http://127.0.0.1:5000/v2/me/app/tags/list"
        command = lab.in_host(["curl", "-s", "-u", f"{USER}:{PASSWORD}", url])
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def test_once_reports_by_its_exit_status(
        self, lab: Lab, environ: dict[str, str], app_folder: Path, tmp_path: Path
    ) -> None:
        status, _, err = run_to_end(lab, ["builder", "--once"], app_folder, environ)
        assert status == 1, err
        assert '"v1"' in self.tags(lab)
        with hookbot_server(lab):
            status, out, err = run_to_end(lab, ["builder", "--once"], app_folder, environ)
            assert (status, "builder: pushed " in out) == (0, True), err + out
            (tmp_path / "docker" / "config.json").write_text("{}")
            status, out, err = run_to_end(lab, ["builder", "--once"], app_folder, environ)
            assert (status, "cannot push 127.0.0.1:5000/me/app:v1" in out) == (1, True), err + out
            (app_folder / "Dockerfile").unlink()
            status, out, err = run_to_end(lab, ["builder", "--once"], app_folder, environ)
            assert (status, "there is no Dockerfile" in err) == (1, True), err + out

    def test_a_failure_is_logged_the_newest_message_wins_and_sighup_builds(
        self, lab: Lab, environ: dict[str, str], app_folder: Path
    ) -> None:
        with hookbot_server(lab), Daemon(lab, ["builder"], app_folder, environ) as builder:
            builder.wait_event("pushed")
            builder.wait_event("hookbot_connected")
            (app_folder / "Dockerfile").write_text("FORM scratch\n")
            publish(lab, "/pub/hanoverd/cwd", "")
            failed = builder.wait_event("build_failed")
            builder.wait_event("build_waiting")
            (app_folder / "Dockerfile").write_text('FROM hanoverd-lab/python\nRUN ["busybox", "sleep", "60"]\n')
            publish(lab, "/pub/hanoverd/cwd", "")
            builder.wait_event("build", after=failed)
            time.sleep(1)
            write_app(app_folder)
            before = builder.position
            publish(lab, "/pub/hanoverd/cwd", "")
            builder.wait_event("build_cancelled", after=before)
            builder.wait_event("pushed", after=before)
            before = builder.position
            builder.hup()
            builder.wait_event("pushed", after=before)
            assert builder.terminate() == 0
