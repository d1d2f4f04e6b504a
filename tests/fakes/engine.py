"""A Docker engine on a unix socket, small enough to hold in one's head, that can be made to fail at any request."""

from __future__ import annotations

import hashlib
import json
import re
import select
import socket
import socketserver
import struct
import tarfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.containers import FakeContainer

#: The instructions of a Dockerfile that the fake knows.
INSTRUCTIONS = frozenset({"FROM", "COPY", "ENV", "EXPOSE", "CMD", "RUN"})

API_VERSION = "1.45"


class Refusal(Exception):
    """An answer with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HangUp(Exception):
    """Close the connection without an answer, as an engine that dies does."""


class Events(list[Any]):
    """An answer that is a stream of JSON objects."""


@dataclass(frozen=True)
class FakeImage:
    """What a build makes."""

    id: str
    env: Mapping[str, str]
    ports: tuple[int, ...]

    def inspect(self) -> dict[str, Any]:
        """As ``GET /images/{name}/json``."""
        exposed: dict[str, object] = {f"{port}/tcp": {} for port in self.ports}
        env = [f"{name}={value}" for name, value in self.env.items()]
        return {"Id": self.id, "RepoTags": [], "Config": {"ExposedPorts": exposed, "Env": env}}


class FakeEngine:
    """``on_request(number, phase, what)`` is called in the request's thread, twice a request: before it is carried
    out ("before"), and when it is, before the answer is sent ("after").  It may raise ``HangUp``.
    """

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "engine.sock")
        self.on_request: Callable[[int, str, str], object] = lambda _number, _phase, _what: None
        self.requests: list[str] = []
        self.containers: dict[str, FakeContainer] = {}
        self.images: dict[str, FakeImage] = {}
        #: The answer to ``GET /info``; None where a proxy forbids it.
        self.info: dict[str, Any] | None = {"ServerVersion": "0 (a fake)"}
        self.lock = threading.RLock()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen."""
        Path(self.socket).unlink(missing_ok=True)
        self._server = _Server(self.socket, _Handler)
        self._server.engine = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        """End all containers and threads."""
        for container in list(self.containers.values()):
            if container.is_running:
                container.end(137)
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def running(self) -> list[str]:
        """The names of the containers that run."""
        return sorted(name for name, container in self.containers.items() if container.is_running)


class _Server(socketserver.ThreadingUnixStreamServer):
    engine: FakeEngine
    daemon_threads = False
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_DELETE(self) -> None:
        self._do()

    # -- one request

    def _do(self) -> None:
        engine = self.server.engine
        self.close_connection = True
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.content = self._read_body()
        what = f"{self.command} {re.sub(r'^/v[0-9.]+', '', unquote(url.path))}"
        with engine.lock:
            number = len(engine.requests)
            engine.requests.append(what)
        try:
            engine.on_request(number, "before", what)
            verb, names = self._verb(what)
            answer = verb(*names)
            engine.on_request(number, "after", what)
            self._answer(*answer)
        except Refusal as refusal:
            self._answer(refusal.status, {"message": str(refusal)})
        except (HangUp, ConnectionError):
            pass

    def _verb(self, what: str) -> tuple[Callable[..., tuple[int, Any]], tuple[str, ...]]:
        for pattern, verb in (
            (r"GET /version", self._version),
            (r"GET /info", self._info),
            (r"GET /images/(.+)/json", self._inspect_image),
            (r"GET /networks/bridge", lambda: (200, {"Name": "bridge", "EnableIPv6": False})),
            (r"POST /images/create", self._pull),
            (r"POST /build", self._build),
            (r"POST /containers/create", self._create),
            (r"GET /containers/json", self._list),
            (r"GET /containers/(.+)/json", self._inspect),
            (r"POST /containers/(.+)/start", self._start),
            (r"POST /containers/(.+)/wait", self._wait),
            (r"GET /containers/(.+)/logs", self._logs),
            (r"POST /containers/(.+)/kill", self._kill),
            (r"POST /containers/(.+)/rename", self._rename),
            (r"DELETE /images/(.+)", self._remove_image),
            (r"POST /containers/(.+)/stop", self._stop),
            (r"DELETE /containers/(.+)", self._remove),
        ):
            found = re.fullmatch(pattern, what)
            if found:
                return verb, found.groups()
        raise Refusal(404, f"page not found: {what}")

    def _version(self) -> tuple[int, Any]:
        return 200, {"Version": "0 (a fake)", "ApiVersion": API_VERSION, "MinAPIVersion": "1.24"}

    def _info(self) -> tuple[int, Any]:
        if self.server.engine.info is None:
            raise Refusal(403, "Forbidden")
        return 200, self.server.engine.info

    # -- images

    def _inspect_image(self, name: str) -> tuple[int, Any]:
        with self.server.engine.lock:
            image = self.server.engine.images.get(name)
        if image is None:
            raise Refusal(404, f"No such image: {name}")
        return 200, image.inspect()

    def _pull(self) -> tuple[int, Any]:
        name = self.query["fromImage"]
        raise Refusal(500, f"Get https://{name}: dial tcp: connection refused")

    def _build(self) -> tuple[int, Any]:
        engine = self.server.engine
        with tarfile.open(fileobj=BytesIO(self.content)) as tar:
            dockerfile = tar.extractfile("Dockerfile")
            assert dockerfile is not None
            steps = [line.split(None, 1) for line in dockerfile.read().decode().splitlines() if line.strip()]
            # By what the files hold, as the real one: not by when they were written.
            files = [(member.name, (file := tar.extractfile(member)) and file.read()) for member in tar.getmembers()]
        for number, (instruction, *_) in enumerate(steps, 1):
            if instruction not in INSTRUCTIONS:
                raise Refusal(400, f"dockerfile parse error on line {number}: unknown instruction: {instruction}")
        events = Events()
        for number, (instruction, argument) in enumerate(steps, 1):
            events.append({"stream": f"Step {number}/{len(steps)} : {instruction} {argument}\n"})
            if instruction == "RUN":
                if '"sleep"' in argument:
                    self._build_until_the_client_goes()
                if code := re.search(r"exit (\d+)", argument):
                    message = f"The command {argument!r} returned a non-zero code: {code[1]}"
                    return 200, Events([*events, {"errorDetail": {"message": message}, "error": message}])
        env = {name: json.loads(value) for i, a in steps if i == "ENV" for name, _, value in [a.partition("=")]}
        ports = tuple(int(argument) for instruction, argument in steps if instruction == "EXPOSE")
        image = FakeImage(f"sha256:{hashlib.sha256(repr(files).encode()).hexdigest()}", env, ports)
        with engine.lock:
            for name in (image.id, self.query["t"]):
                engine.images[name] = image
        return 200, Events([*events, {"aux": {"ID": image.id}}, {"stream": f"Successfully built {image.id[7:19]}\n"}])

    def _build_until_the_client_goes(self) -> None:
        while not self._client_is_gone():
            pass
        raise HangUp

    # -- containers

    def _container(self, name: str) -> FakeContainer:
        with self.server.engine.lock:
            found = self.server.engine.containers
            container = found.get(name) or next((one for one in found.values() if one.id == name), None)
        if container is None:
            raise Refusal(404, f"No such container: {name}")
        return container

    def _create(self) -> tuple[int, Any]:
        engine = self.server.engine
        name, body = self.query["name"], json.loads(self.content)
        with engine.lock:
            if name in engine.containers:
                raise Refusal(409, f'Conflict. The container name "/{name}" is already in use')
            image = engine.images.get(body["Image"])
            if image is None:
                raise Refusal(404, f"No such image: {body['Image']}")
            ports = [int(port.partition("/")[0]) for port in body.get("ExposedPorts") or {}] or list(image.ports)
            container = engine.containers[name] = FakeContainer(name, body, image.env, ports)
        return 201, {"Id": container.inspect()["Id"], "Warnings": []}

    def _list(self) -> tuple[int, Any]:
        label, _, value = json.loads(self.query["filters"])["label"][0].partition("=")
        with self.server.engine.lock:
            found = list(self.server.engine.containers.values())
        return 200, [
            {
                "Id": container.inspect()["Id"],
                "Names": [f"/{container.name}"],
                "Created": container.created,
                "Labels": container.body["Labels"],
                "ImageID": container.body["Image"],
                "State": "running" if container.is_running else "exited",
                "HostConfig": {"NetworkMode": (container.body.get("HostConfig") or {}).get("NetworkMode", "default")},
                "NetworkSettings": {"Networks": container.networks()},
            }
            for container in found
            if (container.body.get("Labels") or {}).get(label) == value
        ]

    def _inspect(self, name: str) -> tuple[int, Any]:
        return 200, self._container(name).inspect()

    def _start(self, name: str) -> tuple[int, Any]:
        container = self._container(name)
        with self.server.engine.lock:
            if container.is_running:
                return 304, None
            container.start()
            with Path(self.server.engine.socket).with_name("addresses").open("a") as file:
                file.write(f"{container.address}\n")
        return 204, None

    def _wait(self, name: str) -> tuple[int, Any]:
        container = self._container(name)
        self._until_ended(container)
        return 200, {"StatusCode": container.exit_code}

    def _logs(self, name: str) -> tuple[int, Any]:
        container = self._container(name)
        if "follow" in self.query:
            self._until_ended(container)
        data = b"".join(container.output)
        return 200, struct.pack(">BxxxL", 1, len(data)) + data

    def _kill(self, name: str) -> tuple[int, Any]:
        container = self._container(name)
        with self.server.engine.lock:
            if not container.is_running:
                raise Refusal(409, f"cannot kill container: {name}: container {name} is not running")
            if self.query["signal"] in ("SIGKILL", "SIGTERM"):
                container.end(137 if self.query["signal"] == "SIGKILL" else 0)
        return 204, None

    def _rename(self, name: str) -> tuple[int, Any]:
        container, new_name = self._container(name), self.query["name"]
        with self.server.engine.lock:
            if new_name in self.server.engine.containers:
                raise Refusal(409, f'Conflict. The container name "/{new_name}" is already in use')
            del self.server.engine.containers[container.name]
            container.name = new_name
            self.server.engine.containers[new_name] = container
        return 204, None

    def _remove_image(self, image_id: str) -> tuple[int, Any]:
        engine = self.server.engine
        with engine.lock:
            if image_id not in engine.images:
                raise Refusal(404, f"No such image: {image_id}")
            if any(container.body["Image"] == image_id for container in engine.containers.values()):
                raise Refusal(409, f"conflict: unable to delete {image_id}: image is being used")
            engine.images = {name: image for name, image in engine.images.items() if image.id != image_id}
        return 200, [{"Deleted": image_id}]

    def _stop(self, name: str) -> tuple[int, Any]:
        container = self._container(name)
        if container.is_running and "NO_TERM" in container.env:
            container.ended.wait(float(self.query.get("t", "10")))
        with self.server.engine.lock:
            if not container.is_running:
                return 304, None
            container.end(0)
        return 204, None

    def _remove(self, name: str) -> tuple[int, Any]:
        container = self._container(name)
        with self.server.engine.lock:
            if container.is_running:
                container.end(137)
            self.server.engine.containers.pop(container.name, None)
        return 204, None

    # -- the wire

    def _until_ended(self, container: FakeContainer) -> None:
        while not container.ended.wait(0.002):
            if self._client_is_gone():
                raise HangUp

    def _client_is_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0.002)
        try:
            return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""
        except ConnectionError:
            return True

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def _answer(self, status: int, content: Any) -> None:
        """Bytes as they are, events one by one, anything else as JSON."""
        self.send_response(status)
        if isinstance(content, (bytes, Events)):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            pieces = (
                [content] if isinstance(content, bytes) else [json.dumps(event).encode() + b"\n" for event in content]
            )
            for piece in [*pieces, b""]:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            return
        body = b"" if content is None else json.dumps(content).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
