"""Where the engine is, as the environment says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hanoverd.docker.address import TLS, engine_address
from hanoverd.runtime.errors import EngineMisconfigured


def write_context(config: Path, name: str, host: str, *, tls: bool = False, skip: bool = False) -> None:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = config / "contexts/meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host, "SkipTLSVerify": skip}}}))
    if tls:
        certificates = config / "contexts/tls" / digest / "docker"
        certificates.mkdir(parents=True)
        for file in ("ca.pem", "cert.pem", "key.pem"):
            (certificates / file).touch()


def test_by_default_it_is_dockers_own_socket(tmp_path: Path) -> None:
    address = engine_address({"HOME": str(tmp_path)})
    assert (address.url, address.tls) == ("unix:///var/run/docker.sock", None)


def test_docker_host_beats_docker_context_beats_the_current_context(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"currentContext": "current"}')
    write_context(tmp_path, "current", "unix:///current")
    write_context(tmp_path, "named", "unix:///named")
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert engine_address(environ).url == "unix:///current"
    environ["DOCKER_CONTEXT"] = "named"
    assert engine_address(environ).url == "unix:///named"
    environ["DOCKER_HOST"] = "unix:///host"
    assert engine_address(environ).url == "unix:///host"
    assert "from DOCKER_HOST" in str(engine_address(environ))


def test_an_empty_variable_is_none(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "DOCKER_HOST": "", "DOCKER_CONTEXT": "", "DOCKER_TLS_VERIFY": ""}
    assert engine_address(environ).url == "unix:///var/run/docker.sock"


def test_tls_takes_its_certificates_from_the_folder_that_is_named(tmp_path: Path) -> None:
    for file in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / file).touch()
    environ = {"DOCKER_HOST": "tcp://127.0.0.1:2376", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    expected = TLS(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem", verify=True)
    assert engine_address(environ).tls == expected
    del environ["DOCKER_TLS_VERIFY"]
    assert engine_address(environ).tls is None


def test_a_context_brings_its_own_certificates(tmp_path: Path) -> None:
    write_context(tmp_path, "secure", "tcp://127.0.0.1:2376", tls=True, skip=True)
    address = engine_address({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "secure"})
    assert address.tls is not None
    assert (address.tls.verify, address.tls.key is not None) == (False, True)


@pytest.mark.parametrize("port", ["", ":2376"])
def test_a_port_that_is_left_out_is_dockers_own(tmp_path: Path, port: str) -> None:
    environ = {"HOME": str(tmp_path), "DOCKER_HOST": f"tcp://127.0.0.1{port}", "DOCKER_TLS_VERIFY": "1"}
    assert engine_address(environ).url == "tcp://127.0.0.1:2376"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"DOCKER_CONTEXT": "nowhere"}, "the context nowhere of DOCKER_CONTEXT does not exist"),
        ({"DOCKER_HOST": "ssh://server"}, "DOCKER_HOST: 'ssh://server' is not supported"),
        ({"DOCKER_HOST": "/var/run/docker.sock"}, "unix:///PATH"),
    ],
)
def test_what_cannot_be_used_is_reported(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    with pytest.raises(EngineMisconfigured) as caught:
        engine_address({"HOME": str(tmp_path), **environ})
    assert message in str(caught.value)


def test_a_context_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    write_context(tmp_path, "bad", "unix:///x")
    [meta] = (tmp_path / "contexts/meta").glob("*/meta.json")
    meta.write_text("{")
    with pytest.raises(EngineMisconfigured, match="cannot be read"):
        engine_address({"DOCKER_CONFIG": str(tmp_path), "DOCKER_CONTEXT": "bad"})
