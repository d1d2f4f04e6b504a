"""The Docker engine by blocking calls, with docker-py: the only module that imports it.

Each call opens its own connection, because requests' sessions are not thread-safe; another thread can abort a call
through its ``Abort``. All calls fail with ``EngineError`` or its subclasses.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NoReturn

import docker
import requests
import urllib3
from docker.auth import encode_header

from hanoverd.docker.abort import Abort, watch_sockets
from hanoverd.docker.address import EngineAddress
from hanoverd.docker.api import BuildRequest, Event, Login, OnEvent, split_endpoints
from hanoverd.docker.event_stream import error_text
from hanoverd.docker.failures import connection_failure
from hanoverd.docker.inspection import names_its_image
from hanoverd.docker.streams import PIECE, events, frames
from hanoverd.runtime.errors import Conflict, EngineRefused, NotFound
from hanoverd.spec.run.streams import Stream

#: The time limit for the answer to a request that does not wait for a container, in seconds.
ANSWER_TIMEOUT = 120

#: How much of an error answer is read, in bytes: it can contain what a registry answered.
MAX_ERROR = 64 * 1024

#: The errors of docker-py and the libraries below it; docker-py does not wrap urllib3's errors in a stream.
_FAILURES = (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class BlockingEngine:
    """The requests that hanoverd sends to the engine, in version ``api_version`` of its API (``version`` needs none)."""

    def __init__(self, address: EngineAddress, api_version: str, abort: Abort) -> None:
        self._address = address
        self._api_version = api_version
        self._abort = abort

    def version(self) -> Mapping[str, Any]:
        """Return the engine's version, with ``ApiVersion`` and ``MinAPIVersion``."""
        with self._connect("get the version of the Docker engine") as client:
            answer: Mapping[str, Any] = client.version(api_version=False)
            return answer

    def inspect_image(self, reference: str) -> Mapping[str, Any]:
        """Return an image of the engine; fails with ``NotFound``."""
        with self._connect(f"inspect the image {reference}") as client:
            answer: Mapping[str, Any] = client.inspect_image(reference)
            return answer

    def inspect_container(self, name: str) -> Mapping[str, Any]:
        """Return a container, found by name or ID; fails with ``NotFound``."""
        with self._connect(f"inspect the container {name}") as client:
            answer: Mapping[str, Any] = client.inspect_container(name)
            return answer

    def containers_with(self, label: str) -> list[Mapping[str, Any]]:
        """Return all containers, running or not, that were created with the label ``KEY=VALUE``.

        Containers that have it from their image are left out: an image can have any label.
        """
        with self._connect("list the containers") as client:
            listed: list[Mapping[str, Any]] = client.containers(all=True, filters={"label": [label]})
            return [one for one in listed if names_its_image(one) or not _has_label(client, one["ImageID"], label)]

    # -- images

    def build(self, context: Iterable[bytes], request: BuildRequest, on_event: OnEvent) -> Mapping[str, Any] | None:
        """Build ``context``, the tar of a folder with a Dockerfile; ``on_event`` takes the events, which include errors.

        Returns the image as ``inspect_image`` does; None if no event names an image.
        """
        built: str | None = None
        with self._connect("build the image") as client:
            # docker-py would send the logins that it finds itself, and fail if a credential helper fails.
            client._set_auth_headers = lambda headers: headers.update(  # type: ignore[attr-defined]  # noqa: SLF001
                {"X-Registry-Config": encode_header(dict(request.logins))}
            )
            for event in client.build(
                fileobj=context,  # type: ignore[arg-type]  # it passes it on to requests, which takes an iterable
                custom_context=True,
                tag=request.tag,
                dockerfile=request.dockerfile,
                buildargs=dict(request.args),  # the API takes None for an unset argument
                target=request.target,
                nocache=request.no_cache,
                platform=request.platform or None,
                rm=True,
                forcerm=True,
                decode=True,
            ):
                built = (event.get("aux") or {}).get("ID", built)
                on_event(event)
            return None if built is None else client.inspect_image(built)

    def pull(self, repository: str, tag: str, login: Login, on_event: OnEvent, platform: str) -> None:
        """Pull ``repository:tag`` or ``repository@digest``; events as for ``build``."""
        with self._connect(f"pull {repository}") as client:
            for event in client.pull(
                repository, tag=tag, auth_config=dict(login), stream=True, decode=True, platform=platform or None
            ):
                on_event(event)

    def push(self, repository: str, tag: str, login: Login, on_event: OnEvent) -> None:
        """Push ``repository:tag``; events as for ``build``."""
        with self._connect(f"push {repository}:{tag}") as client:
            client.timeout = None  # type: ignore[assignment]  # no time limit; the type stubs lack it
            for event in client.push(repository, tag=tag, auth_config=dict(login), stream=True, decode=True):
                on_event(event)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name; an image that has this name loses it."""
        with self._connect(f"tag the image {image}") as client:
            client.tag(image, repository, tag)

    def remote_digest(self, reference: str, login: Login) -> str:
        """Return the digest of the manifest that the registry has for ``reference``; nothing is pulled."""
        with self._connect(f"ask the registry for {reference}") as client:
            digest: str = client.inspect_distribution(reference, auth_config=dict(login))["Descriptor"]["digest"]
            return digest

    def load(self, archive: Iterable[bytes], on_event: OnEvent) -> None:
        """Load images from a tar in the format of ``docker save``; events as for ``build``."""
        with self._connect("load the archive") as client:
            client.timeout = None  # type: ignore[assignment]  # as above
            for event in client.load_image(archive):
                on_event(event)

    def remove_image(self, image_id: str) -> None:
        """Remove an image by its ID; fails with ``Conflict`` if a container uses it. Idempotent."""
        with self._connect(f"remove the image {image_id}") as client:
            try:
                client.remove_image(image_id)
            except docker.errors.NotFound:
                pass

    # -- networks

    def network_has_ipv6(self, name: str) -> bool:
        """Return whether the containers of a network have IPv6 addresses; fails with ``NotFound``."""
        with self._connect(f"inspect the network {name}") as client:
            return bool(client.inspect_network(name).get("EnableIPv6"))

    # -- containers

    def create(self, name: str, body: Mapping[str, Any], platform: str) -> str:
        """Create a container from ``body``, the request of the engine's API, connected to all its networks; return its ID.

        Fails with ``Conflict`` or ``NotFound`` only where no container was created.
        """
        request, others = split_endpoints(body, self._api_version)
        with self._connect(f"create the container {name}") as client:
            container_id: str = client.create_container_from_config(request, name or None, platform or None)["Id"]
        for network, endpoint in others.items():
            self._join(container_id, name, network, endpoint)
        return container_id

    def _join(self, container_id: str, name: str, network: str, endpoint: Mapping[str, Any]) -> None:
        """Connect a new container to one more network; remove it if the engine refuses that."""
        try:
            with self._connect(f"connect the container {name} to the network {network}") as client:
                client.join(network, container_id, endpoint)  # type: ignore[attr-defined]  # it is a _Client
        except EngineRefused as error:
            self.remove(container_id)
            raise EngineRefused(error.what, error.status, error.reason) from error

    def start(self, name: str) -> Mapping[str, Any]:
        """Start a container, and return it as ``inspect_container`` does. Idempotent."""
        with self._connect(f"start the container {name}") as client:
            client.start(name)
            answer: Mapping[str, Any] = client.inspect_container(name)
            return answer

    def rename(self, name: str, new_name: str) -> None:
        """Rename a container; fails with ``Conflict`` if the name is in use."""
        with self._connect(f"rename the container {name}") as client:
            client.rename(name, new_name)

    def wait(self, name: str) -> int:
        """Block until the container has exited, and return its exit code."""
        with self._connect(f"wait for the container {name}") as client:
            code: int = client.wait(name, timeout=None)["StatusCode"]
            return code

    def output(
        self, name: str, since: float | None, on_output: Callable[[bytes], object], streams: Collection[Stream]
    ) -> None:
        """Pass the output of a container, from the Unix time ``since`` or its start, to ``on_output`` until it exits."""
        stdout, stderr = Stream.STDOUT in streams, Stream.STDERR in streams
        with self._connect(f"read the output of the container {name}") as client:
            client.timeout = None  # type: ignore[assignment]  # no time limit; the type stubs lack it
            for piece in client.logs(name, stdout=stdout, stderr=stderr, stream=True, follow=True, since=since):
                on_output(piece)

    def last_output(self, name: str, lines: int) -> bytes:
        """Return the last so many lines of the output of a container."""
        with self._connect(f"read the output of the container {name}") as client:
            return b"".join(client.logs(name, stdout=True, stderr=True, stream=True, follow=False, tail=lines))

    def run(self, name: str, on_stdout: Callable[[bytes], object], on_stderr: Callable[[bytes], object]) -> int:
        """Start a created container with its output attached, block until it has exited, and return its exit code."""
        with self._connect(f"run the container {name}") as client:
            client.timeout = None  # type: ignore[assignment]  # as above
            # Attach before the start: no output is missed, and the container needs no log.
            output = client.attach(name, stdout=True, stderr=True, stream=True, demux=True)
            client.start(name)
            for stdout, stderr in output:
                if stdout:
                    on_stdout(stdout)
                if stderr:
                    on_stderr(stderr)
            self._abort.check()
            code: int = client.wait(name, timeout=None)["StatusCode"]
            return code

    def kill(self, name: str, signal: str) -> None:
        """Send a signal to a container; fails with ``Conflict`` if it does not run."""
        with self._connect(f"send {signal} to the container {name}") as client:
            client.kill(name, signal)

    def stop(self, name: str, timeout: int) -> None:
        """Send the stop signal, and SIGKILL after ``timeout`` seconds (-1: never); block until the container has exited.

        Idempotent: it succeeds if the container does not run or does not exist.
        """
        with self._connect(f"stop the container {name}") as client:
            client.timeout = ANSWER_TIMEOUT if timeout >= 0 else None  # type: ignore[assignment]  # as above
            try:
                client.stop(name, timeout=timeout)
            except docker.errors.NotFound:
                pass

    def remove(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes. Idempotent."""
        with self._connect(f"remove the container {name}") as client:
            try:
                client.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                pass

    def _connect(self, action: str) -> _Connection:
        """Return a connection for one request; ``action`` completes the message "cannot …"."""
        return _Connection(self._address, self._api_version, self._abort, action)


class _Connection:
    """A connection to the engine for one request; raises ``EngineError`` for the errors of docker-py."""

    def __init__(self, address: EngineAddress, api_version: str, abort: Abort, action: str) -> None:
        self._address = address
        self._api_version = api_version
        self._abort = abort
        self._action = action

    def __enter__(self) -> docker.APIClient:
        self._abort.check()
        try:
            self._client = self._open()
        except docker.errors.DockerException as error:
            self._raise(error)
        return self._client

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._client.close()
        self._abort.forget()
        if isinstance(error, _FAILURES):
            self._raise(error)
        if isinstance(error, (KeyError, TypeError)) and isinstance(error.__context__, requests.HTTPError):
            # docker-py expects a message in each answer with an error status.
            self._raise(error.__context__)

    def _open(self) -> docker.APIClient:
        tls: docker.tls.TLSConfig | bool = False
        if self._address.tls is not None:
            files = self._address.tls
            tls = docker.tls.TLSConfig(
                client_cert=(str(files.cert), str(files.key)) if files.cert else None,
                ca_cert=str(files.ca) if files.ca else None,
                verify=files.verify,
            )
        client = _Client(self._address.url, version=self._api_version, timeout=ANSWER_TIMEOUT, tls=tls)
        # The engine is on this host or network: do not use the proxy of the environment.
        client.trust_env = False
        client.hooks["response"].append(_limit_error)
        for adapter in {*client.adapters.values(), getattr(client, "_custom_adapter", None)} - {None}:
            watch_sockets(adapter, self._abort)
        return client

    def _raise(self, error: Exception) -> NoReturn:
        action = f"cannot {self._action}"
        if isinstance(error, (docker.errors.APIError, requests.HTTPError)) and error.response is not None:
            status = error.response.status_code
            kind = {404: NotFound, 409: Conflict}.get(status, EngineRefused)
            # Not the text of the error: it has the URL, with the values of build arguments.
            reason = str(getattr(error, "explanation", None) or "").strip() or f"{status} {error.response.reason}"
            raise kind(action, status, error_text(reason)) from error
        raise connection_failure(action, self._address, error) from error


def _has_label(client: docker.APIClient, image: str, label: str) -> bool:
    try:
        found = client.inspect_image(image)
    except docker.errors.NotFound:
        return False  # It was removed by force.
    key, _, value = label.partition("=")
    return ((found.get("Config") or {}).get("Labels") or {}).get(key) == value


class _Client(docker.APIClient):
    """docker-py's client, with readers that do not take a whole frame or event into memory."""

    def join(self, network: str, container_id: str, endpoint: Mapping[str, Any]) -> None:
        """Connect a container to a network, with ``EndpointSettings`` that are sent as they are."""
        url = self._url("/networks/{0}/connect", network)  # type: ignore[attr-defined]  # the type stubs lack these
        body = {"Container": container_id, "EndpointConfig": dict(endpoint)}
        self._raise_for_status(self._post_json(url, data=body))  # type: ignore[attr-defined]

    def _stream_helper(self, response: requests.Response, decode: bool = False) -> Iterator[Event]:  # noqa: ARG002, FBT001, FBT002
        self._raise_for_status(response)  # type: ignore[attr-defined]  # the type stubs lack it
        return events(response.raw.stream(PIECE, decode_content=False))

    def _stream_raw_result(self, response: requests.Response, *_: object) -> Iterator[bytes]:
        """Yield the output of a container with a terminal; docker-py would yield single bytes."""
        # A container may print nothing for any time.
        self._disable_socket_timeout(self._get_raw_response_socket(response))  # type: ignore[attr-defined]  # as above
        yield from response.raw.stream(PIECE, decode_content=False)

    def _multiplexed_response_stream_helper(self, response: requests.Response) -> Iterator[bytes]:
        # A container may print nothing for any time.
        self._disable_socket_timeout(self._get_raw_response_socket(response))  # type: ignore[attr-defined]  # as above
        return frames(response.raw.read)


def _limit_error(response: requests.Response, **_: object) -> None:
    """Read the content of an error answer, at most ``MAX_ERROR`` bytes: requests would read all of it."""
    if response.status_code >= requests.codes.bad_request:
        response._content = response.raw.read(MAX_ERROR, decode_content=True)  # noqa: SLF001
        response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001
