"""Command lines as Docker's client reads them.

``docker_run.json`` has what the client 28.2.2 sent for each, or its error: observed with a stand-in for the engine.  Left
out are the options that have another meaning here, see ``test_own_meanings``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hanoverd.cli.line import InfoRequested
from hanoverd.cli.parse import parse
from hanoverd.runtime.errors import UsageError

OBSERVED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "docker_run.json").read_text())


def dry_run(arguments: list[str], folder: Path, environ: dict[str, str]) -> dict[str, Any]:
    """What ``--dry-run`` prints; UsageError."""
    settings = {"DOCKER_CONFIG": str(folder / ".docker"), "DOCKER_HOST": "unix:///engine.sock"}
    with pytest.raises(InfoRequested) as info:
        parse(["--dry-run", *arguments], {**settings, **environ}, str(folder))
    document: dict[str, Any] = json.loads(str(info.value))
    return document


def _content(file: Any) -> bytes:
    if isinstance(file, str):
        return file.encode()
    if "hex" in file:
        return bytes.fromhex(file["hex"])
    text: str = file.get("head", "") + file.get("char", "") * file.get("count", 0) + file.get("tail", "")
    return text.encode()


def _expected(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return value.replace("${CWD}", str(folder)).replace("${CWD_PARENT}", str(folder.parent))
    if isinstance(value, list):
        return [_expected(one, folder) for one in value]
    if isinstance(value, dict):
        return (
            _content(value).decode() if "char" in value else {key: _expected(one, folder) for key, one in value.items()}
        )
    return value


def _without_own(name: str, value: Any) -> Any:
    if name == "Env":
        return [entry for entry in value if not entry.startswith("HANOVERD_")]
    if name == "Labels":
        return {key: label for key, label in value.items() if not key.startswith("hanoverd.") and key != "orchestrator"}
    return value


def _is_unset(value: Any) -> bool:
    return value in (None, [], {}, "", 0, False, -1)


@pytest.mark.parametrize("observed", OBSERVED, ids=lambda one: " ".join(one["arguments"])[:60] or "-")
def test_a_command_line_means_what_it_means_to_docker(observed: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "here"
    (folder / ".docker").mkdir(parents=True)
    for name, file in observed.get("files", {}).items():
        (folder / name).write_bytes(_content(file))
    if "config" in observed:
        (folder / ".docker" / "config.json").write_text(json.dumps(observed["config"]))
    line = [*observed["arguments"], *observed.get("image", ["img"])]
    environ = observed.get("environment", {})
    if "error" in observed:
        with pytest.raises(UsageError) as caught:
            dry_run(line, folder, environ)
        # More can follow: what to write instead.
        assert observed["error"] in str(caught.value)
        return
    document = dry_run(line, folder, environ)
    create = document["create"]
    parts = {
        "Config": create,
        "HostConfig": create["HostConfig"],
        "NetworkingConfig": create.get("NetworkingConfig", {}),
    }
    for part, fields in _expected(observed["sent"], folder).items():
        for name, wanted in fields.items():
            sent = document[name] if part == "query" else _without_own(name, parts[part].get(name))
            if f"{part}.{name}" in observed.get("any_order", []):
                assert sorted(sent) == sorted(wanted)
            else:
                assert sent == wanted or (_is_unset(sent) and _is_unset(wanted)), (part, name)
