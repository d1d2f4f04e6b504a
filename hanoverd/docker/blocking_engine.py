"""The Docker engine, by blocking calls, with docker-py: the one module that imports it.

Every verb opens a connection of its own, for requests' sessions are not safe across threads, and through an
``Abort`` any of them can be broken off from another thread.  Verbs fail with the ``EngineError`` family.
"""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import docker
import requests
import urllib3
from docker.auth import encode_header
from docker.utils import version_lt

from hanoverd.docker.abort import Abort, remember_sockets
from hanoverd.docker.address import EngineAddress
from hanoverd.runtime.errors import Conflict, EngineError, EnginePermission, EngineRefused, EngineUnreachable, NotFound

#: The API versions that hanoverd was tried with: it speaks the engine's newest one between these two, or the
#: engine's own newest if that is older still.
OLDEST_API, NEWEST_API = "1.41", "1.50"

#: How long an answer may take that is not waited for by design, in seconds.
ANSWER_WITHIN = 120


#: Takes one event of a build or a pull, as the engine's API describes it.
OnEvent = Callable[[Mapping[str, Any]], object]

#: A login for a registry, in the words of the engine's API: ``username`` and ``password``, or ``identitytoken``.
Login = Mapping[str, str]


@dataclass(frozen=True)
class BuildRequest:
    """What a build is to make of its context: ``args`` maps the names of build arguments to values, None for those
    that stay unset; ``logins`` are for the images that it begins from, by registry.
    """

    tag: str
    dockerfile: str = "Dockerfile"
    args: Mapping[str, str | None] = field(default_factory=dict)
    target: str | None = None
    no_cache: bool = False
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)


#: What docker-py and the libraries below it raise; a stream that breaks shows urllib3's errors bare.
_FAILURES = (docker.errors.DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class BlockingEngine:
    """The verbs of the engine that hanoverd uses, in version ``api_version`` of its API (``version`` needs none)."""

    def __init__(self, address: EngineAddress, api_version: str, abort: Abort) -> None:
        self._address = address
        self._api_version = api_version
        self._abort = abort

    # -- what there is

    def version(self) -> Mapping[str, Any]:
        """The engine's own account of itself, among it ``ApiVersion`` and ``MinAPIVersion``."""
        with _Talk(self, "ask for its version") as client:
            answer: Mapping[str, Any] = client.version(api_version=False)
            return answer

    def inspect_image(self, reference: str) -> Mapping[str, Any]:
        """An image that the engine has; ``NotFound`` if it has not."""
        with _Talk(self, f"inspect the image {reference}") as client:
            answer: Mapping[str, Any] = client.inspect_image(reference)
            return answer

    def inspect_container(self, name: str) -> Mapping[str, Any]:
        """A container by name or ID; ``NotFound`` if it is gone."""
        with _Talk(self, f"inspect the container {name}") as client:
            answer: Mapping[str, Any] = client.inspect_container(name)
            return answer

    def containers_with(self, label: str) -> list[Mapping[str, Any]]:
        """All containers, running or not, that carry the label ``KEY=VALUE``."""
        with _Talk(self, "list the containers") as client:
            answer: list[Mapping[str, Any]] = client.containers(all=True, filters={"label": [label]})
            return answer

    # -- images

    def build(self, context: Iterable[bytes], request: BuildRequest, on_event: OnEvent) -> Mapping[str, Any] | None:
        """Build a tar of a folder with a Dockerfile; gives the engine's events, errors among them, to ``on_event``.

        Returns the image as ``inspect_image`` does; None if the events tell of none.
        """
        built: str | None = None
        with _Talk(self, "build the image") as client:
            # docker-py would send the logins that it finds by itself, and fails where a credential helper does.
            client._set_auth_headers = lambda headers: headers.update(  # type: ignore[attr-defined]  # noqa: SLF001
                {"X-Registry-Config": encode_header(dict(request.logins))}
            )
            for event in client.build(
                fileobj=context,  # type: ignore[arg-type]  # it only hands it on to requests, which takes an iterable
                custom_context=True,
                tag=request.tag,
                dockerfile=request.dockerfile,
                buildargs=dict(request.args),  # None is what the engine's API asks for
                target=request.target,
                nocache=request.no_cache,
                rm=True,
                forcerm=True,
                decode=True,
            ):
                built = (event.get("aux") or {}).get("ID", built)
                on_event(event)
            return None if built is None else client.inspect_image(built)

    def pull(self, repository: str, tag: str, login: Login, on_event: OnEvent) -> None:
        """Pull ``repository:tag`` (or ``repository@digest``); events as for ``build``."""
        with _Talk(self, f"pull {repository}") as client:
            for event in client.pull(repository, tag=tag, auth_config=dict(login), stream=True, decode=True):
                on_event(event)

    def push(self, repository: str, tag: str, login: Login, on_event: OnEvent) -> None:
        """Push ``repository:tag``; events as for ``build``."""
        with _Talk(self, f"push {repository}:{tag}") as client:
            client.timeout = None  # type: ignore[assignment]  # no limit; the stubs forget it
            for event in client.push(repository, tag=tag, auth_config=dict(login), stream=True, decode=True):
                on_event(event)

    def tag(self, image: str, repository: str, tag: str) -> None:
        """Give an image one more name; takes it away from the image that had it."""
        with _Talk(self, f"tag the image {image}") as client:
            client.tag(image, repository, tag)

    def remote_digest(self, reference: str, login: Login) -> str:
        """The digest of the manifest that the registry has for ``reference``, of which nothing is pulled."""
        with _Talk(self, f"ask the registry for {reference}") as client:
            digest: str = client.inspect_distribution(reference, auth_config=dict(login))["Descriptor"]["digest"]
            return digest

    def load(self, archive: Iterable[bytes], on_event: OnEvent) -> None:
        """Load images from a tar as ``docker save`` makes it; events as for ``build``."""
        with _Talk(self, "load the archive") as client:
            client.timeout = None  # type: ignore[assignment]  # as above
            for event in client.load_image(archive):
                on_event(event)

    def remove_image(self, image_id: str) -> None:
        """Remove an image by its ID; ``Conflict`` if a container has it; one that is gone is success."""
        with _Talk(self, f"remove the image {image_id}") as client:
            try:
                client.remove_image(image_id)
            except docker.errors.NotFound:
                pass

    # -- containers

    def create(self, name: str, body: Mapping[str, Any]) -> str:
        """Create a container from the body of the engine's own API; returns its ID."""
        with _Talk(self, f"create the container {name}") as client:
            container_id: str = client.create_container_from_config(dict(body), name)["Id"]
            return container_id

    def start(self, name: str) -> Mapping[str, Any]:
        """Start a container; one that runs already is success.  Returns it as ``inspect_container`` does."""
        with _Talk(self, f"start the container {name}") as client:
            client.start(name)
            answer: Mapping[str, Any] = client.inspect_container(name)
            return answer

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name; ``Conflict`` if that is taken."""
        with _Talk(self, f"rename the container {name}") as client:
            client.rename(name, new_name)

    def wait(self, name: str) -> int:
        """Block until the container does not run; returns its exit code."""
        with _Talk(self, f"wait for the container {name}") as client:
            code: int = client.wait(name, timeout=None)["StatusCode"]
            return code

    def output(self, name: str, since: float | None, on_output: Callable[[bytes], object]) -> None:
        """Give what the container prints, ``since`` a Unix time or from its beginning, to ``on_output``, until it ends."""
        with _Talk(self, f"read the output of the container {name}") as client:
            client.timeout = None  # type: ignore[assignment]  # no limit; the stubs forget it
            for piece in client.logs(name, stdout=True, stderr=True, stream=True, follow=True, since=since):
                on_output(piece)

    def run(self, name: str, on_stdout: Callable[[bytes], object], on_stderr: Callable[[bytes], object]) -> int:
        """Start a created container with its output attached, and block until it has ended; returns its exit code."""
        with _Talk(self, f"run the container {name}") as client:
            client.timeout = None  # type: ignore[assignment]  # as above
            # Attached before it starts: nothing is missed, and nothing need be kept in a log.
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
        """Send a signal to a container; ``Conflict`` if it does not run."""
        with _Talk(self, f"send {signal} to the container {name}") as client:
            client.kill(name, signal)

    def stop(self, name: str, timeout: int) -> None:
        """Send the stop signal, SIGKILL after ``timeout`` seconds (-1: never), and block until it has ended.

        A container that does not run, or is gone, is success.
        """
        with _Talk(self, f"stop the container {name}") as client:
            client.timeout = ANSWER_WITHIN if timeout >= 0 else None  # type: ignore[assignment]  # as above
            try:
                client.stop(name, timeout=timeout)
            except docker.errors.NotFound:
                pass

    def remove(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes; one that is gone is success."""
        with _Talk(self, f"remove the container {name}") as client:
            try:
                client.remove_container(name, v=True, force=True)
            except docker.errors.NotFound:
                pass


def usable_api_version(version: Mapping[str, Any]) -> str:
    """The API version to speak with an engine that says ``version`` of itself.

    Fails with ``EngineError`` when there is none that both know.
    """
    newest: str = version["ApiVersion"]
    oldest: str = version.get("MinAPIVersion", "1.12")
    chosen = NEWEST_API if version_lt(NEWEST_API, newest) else newest
    if version_lt(chosen, oldest) or version_lt(chosen, OLDEST_API):
        raise EngineError(
            f"this Docker engine ({version.get('Version', 'unknown')}) speaks the API versions {oldest} to {newest}, "
            f"hanoverd {OLDEST_API} to {NEWEST_API}: upgrade the older of the two"
        )
    return chosen


class _Talk:
    """One connection to the engine, for the length of one verb; turns docker-py's failures into ours."""

    def __init__(self, engine: BlockingEngine, verb: str) -> None:
        self._engine = engine
        self._verb = verb

    def __enter__(self) -> docker.APIClient:
        self._engine._abort.check()  # noqa: SLF001  # the two are one
        try:
            self._client = self._open()
        except docker.errors.DockerException as error:
            self._explain(error)
        return self._client

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        self._client.close()
        self._engine._abort.forget()  # noqa: SLF001
        if isinstance(error, _FAILURES):
            self._explain(error)

    def _open(self) -> docker.APIClient:
        address = self._engine._address  # noqa: SLF001
        tls: docker.tls.TLSConfig | bool = False
        if address.tls is not None:
            files = address.tls
            tls = docker.tls.TLSConfig(
                client_cert=(str(files.cert), str(files.key)) if files.cert else None,
                ca_cert=str(files.ca) if files.ca else None,
                verify=files.verify,
            )
        client = docker.APIClient(
            address.url,
            version=self._engine._api_version,  # noqa: SLF001
            timeout=ANSWER_WITHIN,
            tls=tls,
        )
        # The engine is a neighbour: a proxy for the outside world has no business between us.
        client.trust_env = False
        for adapter in {*client.adapters.values(), getattr(client, "_custom_adapter", None)} - {None}:
            remember_sockets(adapter, self._engine._abort)  # noqa: SLF001
        return client

    def _explain(self, error: Exception) -> NoReturn:
        verb = f"cannot {self._verb}"
        if isinstance(error, docker.errors.APIError) and error.response is not None:
            status = error.response.status_code
            kind = {404: NotFound, 409: Conflict}.get(status, EngineRefused)
            raise kind(verb, status, str(error.explanation or error).strip()) from error
        address = self._engine._address  # noqa: SLF001
        number = _errno_of(error)
        if number in (errno.EACCES, errno.EPERM):
            raise EnginePermission(
                f"permission denied by the Docker engine at {address}: run hanoverd as root, or as a member of the "
                "group that owns the socket (`docker`), or set DOCKER_HOST"
            ) from error
        if tls := [e for e in _chain(error) if isinstance(e, ssl.SSLError)]:
            raise EngineUnreachable(
                f"{verb}: no TLS with the Docker engine at {address} ({tls[-1].args[-1]}): check the files ca.pem, "
                "cert.pem and key.pem in DOCKER_CERT_PATH, and that the engine speaks TLS there"
            ) from error
        reason = errno.errorcode.get(number, "") if number else ""
        raise EngineUnreachable(
            f"{verb}: no Docker engine answers at {address}{': ' + reason if reason else ''} ({_root_of(error)}): "
            "is it running? Start it, or set DOCKER_HOST to where it is"
        ) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what lies behind it: causes, contexts, and errors that libraries carry as arguments."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None)]
            waiting += [argument for argument in one.args if isinstance(argument, BaseException)]


def _errno_of(error: BaseException) -> int | None:
    # The numbers of TLS are OpenSSL's own.
    numbers = [e.errno for e in _chain(error) if isinstance(e, OSError) and not isinstance(e, ssl.SSLError) and e.errno]
    return numbers[0] if numbers else None


def _root_of(error: BaseException) -> str:
    """The innermost error's own words: the outer ones print each other's."""
    with_words = [e for e in _chain(error) if isinstance(e, OSError) and e.strerror]
    return str(with_words[-1].strerror) if with_words else f"{type(error).__name__}: {error}"
