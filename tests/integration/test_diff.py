"""``hanoverd diff``: what the next handover would change, on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.conftest import StartDaemon
from tests.integration.test_control import Commands, commands
from tests.integration.test_docker_options import OPTIONS
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import BASE, write_app

__all__ = ["commands"]

START = ("-p", "8080:80", "--status-timeout", "20s", "--on-exit", "keep", "--pull", "never")
SECRET = "hunter2-is-the-password"


@pytest.fixture
def images(lab: Lab, app_folder: Path, daemon: StartDaemon) -> list[str]:
    """Build two images of the app, and return their names."""
    names = []
    for number in ("1", "2"):
        write_app(app_folder, version=number)
        with daemon("--name", f"build{number}", cwd=app_folder) as builder:
            builder.wait_live(f"build{number}-0")
            names.append(f"hanoverd/build{number}:latest")
    return names


def differences(commands: Commands, *arguments: str) -> list[tuple[str, object, object]]:
    """Return what differs, from the JSON; the text must have the same number of signs."""
    code, out, err = commands.end("diff", "--format", "json", *arguments)
    found = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (int(bool(found)), ""), (code, out, err)
    text_code, text, text_err = commands.end("diff", *arguments)
    assert (text_code, text_err) == (code, "")
    signs = sum(2 if one["live"] is not None and one["next"] is not None else 1 for one in found)
    assert len(text.splitlines()) == (signs + 2 if found else 0), text
    assert SECRET not in out + text
    return [(one["option"], one["live"], one["next"]) for one in found]


def serve(daemon: StartDaemon, *arguments: str) -> Daemon:
    return daemon("--name", "web", *START, *OPTIONS, *arguments, cwd="/")


def test_a_running_app_shows_what_its_next_handover_would_change(
    lab: Lab, images: list[str], daemon: StartDaemon, commands: Commands, tmp_path: Path
) -> None:
    variables = tmp_path / "env"
    variables.write_text(f"WORD=one\nPASSWORD=x{SECRET}\nGONE=1\n")
    tag = f"/images/{images[0]}/tag?repo=web&tag=stable"
    assert lab.docker("POST", tag)[0] == 201
    with serve(daemon, "--env-file", str(variables), "web:stable") as hanoverd:
        hanoverd.wait_live("web-0")
        assert differences(commands, "web") == []
        # What the engine has made of the options does not differ after an adoption, either: see below.
        variables.write_text(f"WORD=one\nPASSWORD=y{SECRET}\nNEW=1\n")
        assert differences(commands, "web") == [
            ("env", "GONE=***", None),
            ("env", "PASSWORD=***", "PASSWORD=***"),
            ("env", None, "NEW=***"),
        ]
        variables.write_text("A B=1\n")
        code, out, err = commands.end("diff", "web")
        assert (code, out) == (2, "")
        assert "cannot read the variables and labels of the next version" in err
        variables.write_text(f"WORD=one\nPASSWORD=x{SECRET}\nGONE=1\n")
        assert lab.docker("POST", f"/images/{images[1]}/tag?repo=web&tag=stable")[0] == 201
        [(option, live, following)] = differences(commands, "web")
        assert option == "image"
        assert str(live).startswith("web:stable (")
        assert str(following).startswith("web:stable (")
        assert live != following
        # As it is shown, so it is done.
        commands("deploy", "web", "--wait")
        assert differences(commands, "web") == []
        assert SECRET not in hanoverd.log()
    code, _, err = commands.end("diff", "web")
    assert code == 2
    assert "no hanoverd serves it" in err
    # The next start, of which nothing runs yet.
    same = (*START, *OPTIONS, "--env-file", str(variables))
    assert differences(commands, "web", *same, "web:stable") == []
    changed = (
        "--memory",
        "128m",
        "-e",
        f"PASSWORD={SECRET}",
        "--dns",
        "10.9.8.5",
        "-p",
        "8081:81",
        "--cap-add",
        "chown",
    )
    found = differences(commands, "--name", "web", *same, *changed, "web:stable", "serve", "--all")
    assert found == [
        ("command", None, ["serve", "--all"]),
        ("env", "PASSWORD=***", "PASSWORD=***"),
        ("cap-add", None, "CAP_CHOWN"),
        ("dns", None, "10.9.8.5"),
        ("memory", 64 * 1024**2, 128 * 1024**2),
        ("publish", None, "8081:81"),
    ]
    out = commands.end("diff", "web", *same, "--memory", "128m", "web:stable")[1]
    assert out == "--- web-1\n+++ the next version\n- memory: 64m\n+ memory: 128m\n"
    # The same, beside the hanoverd that serves it now: the version was adopted.
    with serve(daemon, "--env-file", str(variables), "--if-changed", "web:stable") as hanoverd:
        hanoverd.wait_event("unchanged", version="web-1")
        assert differences(commands, "web") == []
        assert differences(commands, "web", *same, "web:stable") == []
        assert [one[0] for one in differences(commands, "web", *same, images[0])] == ["image"]
        # After a rollback to what an inspection has shown.
        commands("rollback", "web", "--wait")
        assert [one[0] for one in differences(commands, "web")] == ["image"]
        commands("stop", "web")
    assert lab.docker("DELETE", "/images/web:stable")[0] == 200


def test_a_folder_is_unknown_until_it_is_built(app_folder: Path, daemon: StartDaemon, commands: Commands) -> None:
    code, _, err = commands.end("diff", "web")
    assert (code, "there is no app web" in err) == (2, True)
    with daemon("--name", "web", "-p", "8080:80", cwd=app_folder) as hanoverd:
        hanoverd.wait_live("web-0")
        code, out, err = commands.end("diff", "web")
        assert (code, err) == (1, "")
        head, other, live, following = out.splitlines()
        assert (head, other) == ("--- web-0", "+++ the next version")
        assert live.startswith("- image: hanoverd/web:latest (")
        assert following == f"? image: build {app_folder}: unknown until it is built"
        code, out, err = commands.end("diff", "web", "-p", "8080:80", "--pull", "never", "not/there:1")
        assert (code, out) == (2, "")
        assert "the engine has no image not/there:1" in err
        code, out, err = commands.end("diff", "web", "--restart", "sometimes", BASE)
        assert (code, out) == (125, "")
