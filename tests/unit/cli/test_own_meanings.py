"""Options of docker run that mean something else here, because two versions run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from hanoverd.cli.line import InfoRequested
from hanoverd.cli.parse import parse
from hanoverd.runtime.errors import UsageError
from hanoverd.spec.app import AppSpec
from tests.unit.cli.test_docker_run import dry_run


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("--ip 172.20.0.5", "--ip: two versions run side by side and cannot share an address: add --disable-overlap"),
        ("--network name=net,ip6=2001:db8::5", "--ip6: two versions"),
        ("--network net --link-local-ip 169.254.1.1", "--link-local-ip: two versions"),
        ("--mac-address 92:d0:c6:0a:29:33", "--mac-address: two versions"),
        ("--network host", "--network host: both versions would share the ports of one network namespace"),
        ("--network container:db", "--network container:db: both versions would share the ports"),
    ],
)
def test_what_two_versions_cannot_share_needs_disable_overlap(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        dry_run([*line.split(), "img"], tmp_path, {})
    assert reason in str(caught.value)
    create = dry_run(["--disable-overlap", *line.split(), "img"], tmp_path, {})["create"]
    assert "NetworkMode" in create["HostConfig"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (
            "-P",
            "--publish-all: host ports are chosen at the start, before the image and its ports are known: name the ports",
        ),
        ("--use-api-socket", "--use-api-socket: not supported: mount the socket with --volume"),
        ("--disable-content-trust=false", "--disable-content-trust: content trust is not supported"),
        ("-a stdin", "--attach stdin: nothing is ever written"),
        ("-a stdout -d", "conflicting options: cannot specify both --attach and --detach"),
        ("--rm --restart always", "conflicting options: cannot specify both --restart and --rm"),
        ("--cpu-count 2", '"--cpu-count" is only supported on a Docker daemon running on windows'),
        ("-l hanoverd.app=web", 'label "hanoverd.app" is reserved'),
        ("--name web --pid container:web-3", "--pid: web-3 is a version of web itself"),
        ("--name web --volumes-from web-3-kept:ro", "--volumes-from: web-3-kept is a version of web itself"),
        ("--name web --link /web-3:old", "--link: /web-3 is a version of web itself"),
        ("-m 99999999999999999999", "invalid size: '99999999999999999999' (it is too large)"),
        (f"--cidfile {'x' * 300}", f"failed to create the container ID file: open {'x' * 300}: file name too long"),
        ("--cidfile .", "container ID file found, make sure the other container isn't running or delete"),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(line: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        dry_run([*line.split(), "img"], tmp_path, {})
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "-d",
        "--detach-keys ctrl-x",
        "--sig-proxy",
        "--rm",
        "--rm=false",
        "-q",
        "--kernel-memory 1m",
        "--disable-content-trust",
    ],
)
def test_some_change_nothing(line: str, tmp_path: Path) -> None:
    plain = dry_run(["img"], tmp_path, {})["create"]
    assert dry_run([*line.split(), "img"], tmp_path, {})["create"] == plain


def test_the_restart_policy_is_not_sent(tmp_path: Path) -> None:
    document = dry_run(["--restart", "on-failure:3", "img"], tmp_path, {})
    assert "RestartPolicy" not in document["create"]["HostConfig"]
    assert document["settings"]["restart"] == "on-failure:3"


def test_a_published_port_is_published_on_a_free_loopback_port_and_routed(tmp_path: Path) -> None:
    document = dry_run(["--name", "web", "-p", "8080:80", "img"], tmp_path, {})
    assert document["create"]["HostConfig"]["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
    assert "--dport 8080" in document["firewall"]
    assert "--to-destination CONTAINER-ADDRESS:80" in document["firewall"]


def test_a_container_on_the_hosts_network_has_no_rules_no_ports_and_no_hostname(tmp_path: Path) -> None:
    document = dry_run(["--disable-overlap", "--network", "host", "-p", "80", "img"], tmp_path, {})
    assert document["firewall"] == ""
    assert document["create"]["HostConfig"]["PortBindings"] == {}
    assert "Hostname" not in document["create"]


def test_a_hostname_is_the_name_of_the_version_unless_it_is_given(tmp_path: Path) -> None:
    assert dry_run(["--name", "web", "img"], tmp_path, {})["create"]["Hostname"] == "web-0"
    assert dry_run(["-h", "shop", "img"], tmp_path, {})["create"]["Hostname"] == "shop"
    assert "Hostname" not in dry_run(["--uts", "host", "img"], tmp_path, {})["create"]


def test_the_engine_s_objections_are_warnings_of_a_dry_run(tmp_path: Path) -> None:

    line = ["-v", "/data:/", "-w", "here", "img"]
    with pytest.raises(InfoRequested) as info:
        parse(["--dry-run", *line], {}, str(tmp_path))
    assert len(info.value.warnings) == 2
    with pytest.raises(UsageError, match="the working directory 'here' is invalid"):
        parse(line, {}, str(tmp_path))


def test_secrets_are_not_in_the_settings(tmp_path: Path) -> None:
    document = dry_run(["--notify", "https://hooks.example/token", "--build-arg", "KEY=secret", "img"], tmp_path, {})
    assert document["settings"]["notify"] == ["***"]
    assert document["settings"]["build-arg"] == ["KEY=***"]


def test_attach_says_which_streams_are_logged(tmp_path: Path) -> None:
    for line, streams in {
        "": ("stdout", "stderr"),
        "-a stdout": ("stdout",),
        "--attach STDERR -a stderr": ("stderr",),
        "-a stderr -a stdout": ("stdout", "stderr"),
    }.items():
        spec = parse([*line.split(), "-p", "80:80", "img"], {}, str(tmp_path))
        assert isinstance(spec, AppSpec)
        assert spec.streams == streams


def test_the_cidfile_is_found_from_every_folder(tmp_path: Path) -> None:
    for line, path in {
        "": "",
        "--cidfile=": "",
        "--cidfile cid": str(tmp_path / "cid"),
        "--cidfile /tmp/cid": "/tmp/cid",
    }.items():
        spec = parse([*line.split(), "-p", "80:80", "img"], {}, str(tmp_path))
        assert isinstance(spec, AppSpec)
        assert spec.cidfile == path


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [("0123456789abcdef" * 4, True), ("f" * 64 + "\n", True), ("", False), ("f" * 12, False), ("f" * 65, False)],
)
def test_a_cidfile_of_an_earlier_run_is_accepted(text: str, is_accepted: bool, tmp_path: Path) -> None:
    (tmp_path / "cid").write_text(text)
    line = ["--cidfile", "cid", "img"]
    if is_accepted:
        dry_run(line, tmp_path, {})
    else:
        with pytest.raises(UsageError, match="container ID file found, make sure"):
            dry_run(line, tmp_path, {})
    assert (tmp_path / "cid").read_text() == text


def test_the_dry_run_shows_what_is_for_hanoverd_itself_among_its_settings(tmp_path: Path) -> None:
    line = ["-p", "8080:80", "-a", "stdout", "--cidfile", "cid", "-v", "/a:/b", "img"]
    settings = dry_run(line, tmp_path, {})["settings"]
    assert (settings["publish"], settings["attach"], settings["cidfile"]) == (["8080:80"], ["stdout"], "cid")
    assert "volume" not in settings
