"""Images from archives: files, HTTPS servers and S3."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import io
import json
import lzma
import socket
import ssl
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock
from urllib.parse import quote

import boto3
import zstandard
from moto.server import ThreadedMotoServer
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from hanoverd.images.archive import ArchiveSource
from hanoverd.images.folder import FolderSource
from hanoverd.runtime.clock import sleep
from hanoverd.runtime.errors import ObtainFailed, UsageError
from hanoverd.spec.container import Image
from tests.integration.saved_archives import as_oci, members, merged, renamed, tarred
from tests.integration.source_case import REACTOR, SOON, TINY, SourceCase
from tests.lab.certificates import write_certificates


class ArchiveCase(SourceCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.forget, "hanoverd/sourced:v1", "hanoverd/sourced:latest")

    async def saved(self, content: str, *names: str) -> bytes:
        """Return the output of ``docker save`` for an image, and remove the image from the engine."""
        (self.folder / "Dockerfile").write_text(TINY % content)
        image = await self.obtain(FolderSource(".", self.context()))
        for name in names:
            await self.engine.tag(image.id, name, "v1")
        query = "&".join(f"names={quote(f'{name}:v1')}" for name in names) or f"names={image.id}"
        _, archive = self.lab.docker("GET", f"/images/get?{query}")
        self.forget(*(f"{name}:v1" for name in names), "hanoverd/sourced:latest")
        return archive

    def forget(self, *names: str) -> None:
        """Remove these names from the engine."""
        for name in names:
            self.lab.docker("DELETE", f"/images/{quote(name, safe='')}?force=1")

    def image_id(self, name: str) -> str | None:
        """Return the ID of the image with this name; None if there is none."""
        status, content = self.lab.docker("GET", f"/images/{quote(name, safe='')}/json")
        return json.loads(content)["Id"] if status == 200 else None

    def write(self, content: bytes, name: str = "app.tar") -> str:
        """Write a file in the folder."""
        (self.folder / name).write_bytes(content)
        return name

    def load(self, text: str, **environ: str) -> Deferred[Image]:
        """Obtain the image of an archive."""
        return Deferred.fromCoroutine(self.obtain(ArchiveSource(text, self.context(environ=environ))))


class FileTests(ArchiveCase):
    async def test_plain_and_compressed_archives_are_loaded(self) -> None:
        archive = await self.saved("one", "lab/archived")
        for name, content in (
            ("app.tar", archive),
            ("app.tgz", gzip.compress(archive, 1)),
            ("app.tar.zst", zstandard.ZstdCompressor().compress(archive)),
        ):
            image = await self.load(self.write(content, name))
            self.assertEqual((self.label(image), image.name.reference), ("one", "hanoverd/sourced:v1"))
            self.forget("hanoverd/sourced:v1")

    async def test_an_image_with_the_same_layer_twice_is_loaded(self) -> None:
        # docker save before version 25 writes it once, and a symbolic link.
        (self.folder / "data").write_bytes(b"data" * 1000)
        archive = await self.saved("twice\nCOPY data /data\nCOPY data /data", "lab/archived")
        for content in (archive, as_oci(archive)):
            self.assertEqual(self.label(await self.load(self.write(content))), "twice")
            self.forget("hanoverd/sourced:v1")

    async def test_an_image_without_a_name_is_loaded(self) -> None:
        image = await self.load(self.write(await self.saved("anonymous")))
        self.assertEqual((self.label(image), image.name.reference), ("anonymous", "hanoverd/sourced:latest"))

    async def test_an_oci_archive_is_loaded(self) -> None:
        for compress in (False, True):
            archive = as_oci(await self.saved("oci", "lab/archived"), compress=compress)
            image = await self.load(self.write(archive))
            self.assertEqual((self.label(image), image.name.reference), ("oci", "hanoverd/sourced:v1"))
            self.forget("hanoverd/sourced:v1")

    async def test_an_archive_for_several_platforms_is_loaded(self) -> None:
        archive = as_oci(await self.saved("oci", "lab/archived"), platforms=("amd64", "arm64"))
        with mock.patch("platform.machine", return_value="x86_64"):
            self.assertEqual(self.label(await self.load(self.write(archive))), "oci")
        with mock.patch("platform.machine", return_value="s390x"):
            self.assertIn("no image for this host's architecture (s390x)", await self.fails(self.load("app.tar")))

    async def test_no_name_of_an_archive_reaches_the_engine(self) -> None:
        self.lab.docker("POST", "/images/load", await self.saved("theirs", "postgres"))
        await self.engine.tag("postgres:v1", "postgres", "16")
        postgres = self.image_id("postgres:16")
        self.assertIsNotNone(postgres)
        self.addCleanup(self.forget, "postgres:v1", "postgres:16", "hanoverd/sourced:16")
        hostile = renamed(await self.saved("other", "lab/archived"), "lab/archived:v1", "postgres:16")
        for archive in (hostile, as_oci(hostile), as_oci(hostile, annotation="org.opencontainers.image.ref.name")):
            for compress in (
                bytes,
                functools.partial(gzip.compress, compresslevel=1),
                functools.partial(lzma.compress, preset=0),
            ):
                image = await self.load(self.write(compress(archive)))
                self.assertEqual((self.label(image), image.name.reference), ("other", "hanoverd/sourced:16"))
                self.assertEqual(self.image_id("hanoverd/sourced:16"), image.id)
                self.assertEqual(self.image_id("postgres:16"), postgres)
                self.forget("hanoverd/sourced:16")

    async def test_an_archive_whose_blob_was_changed_is_not_loaded(self) -> None:
        files = members(as_oci(await self.saved("changed", "lab/archived")))
        layer = max((name for name in files if name.startswith("blobs/")), key=lambda name: len(files[name]))
        files[layer] = files[layer][:-1] + b"x"
        message = await self.fails(self.load(self.write(tarred(files))), ObtainFailed)
        self.assertIn(f'the digest of "{layer}', message)
        self.assertIsNone(self.image_id("hanoverd/sourced:v1"))

    async def test_an_archive_that_is_too_large_is_not_loaded(self) -> None:
        archive = await self.saved("large", "lab/archived")
        half, more = len(archive) // 2, len(archive) + 1024**2
        for content, size, message in (
            (archive, half, "has .* which is more than"),
            (gzip.compress(archive + bytes(2 * 1024**2), 1), more, "has more than"),
        ):
            source = ArchiveSource(self.write(content), replace(self.context(), max_archive_size=size))
            self.assertRegex(await self.fails(self.obtain(source), ObtainFailed), f"{message}.*see --archive-max-size")
        self.assertIsNone(self.image_id("hanoverd/sourced:v1"))

    async def test_a_wrong_digest_is_found_before_the_engine_has_the_whole_archive(self) -> None:
        archive = gzip.compress(await self.saved("checked", "lab/archived"), 1)
        name, digest = self.write(archive), hashlib.sha256(archive).hexdigest()
        message = await self.fails(self.load(f"{name}@sha256:{'0' * 64}"), ObtainFailed)
        self.assertIn(f"has the wrong digest: sha256:{digest}", message)
        self.assertIsNone(self.image_id("hanoverd/sourced:v1"))
        self.assertEqual(self.label(await self.load(f"{name}@sha256:{digest}")), "checked")

    async def test_a_file_that_is_not_an_archive_of_one_image_is_refused(self) -> None:
        archive = await self.saved("one", "lab/archived")
        two = merged(archive, await self.saved("two", "lab/other"))
        empty = io.BytesIO()
        tarfile.open(fileobj=empty, mode="w").close()
        for content, message in (
            (b"", "has neither manifest.json nor index.json"),
            (b"no tar at all" * 1000, "cannot be used: it is not a tar"),
            (archive[: len(archive) // 2], "cannot be used: it ends within a file"),
            (gzip.compress(archive, 1)[:-1000], "is damaged or incomplete"),
            (zstandard.ZstdCompressor().compress(archive)[:-1000], "cannot be used: it ends within a file"),
            (empty.getvalue(), "has neither manifest.json nor index.json"),
            (two, 'has 2 images \\("lab/archived:v1", "lab/other:v1"\\)'),
        ):
            self.assertRegex(await self.fails(self.load(self.write(content)), ObtainFailed), message)
        self.assertIsNone(self.image_id("hanoverd/sourced:v1"))
        source = ArchiveSource("nothing.tar", self.context())
        with self.assertRaisesRegex(ObtainFailed, "there is no archive .*nothing.tar"):
            source.check()
        self.assertIn("No such file", await self.fails(self.load("nothing.tar")))

    async def test_a_newer_file_is_another_revision(self) -> None:
        archive = await self.saved("one", "lab/archived")
        source = ArchiveSource(self.write(archive), self.context())
        image = await self.obtain(source)
        self.assertEqual(image.revision, await source.newest())
        self.write(archive + bytes(512))
        self.assertNotEqual(image.revision, await source.newest())

    def test_an_invalid_location_is_refused(self) -> None:
        for text in ("ftp://h/x", "s3://bucket", "https:///x", "s3:///key"):
            with self.assertRaisesRegex(UsageError, "is not supported: use a PATH, https"):
                ArchiveSource(text, self.context())


class HttpsTests(ArchiveCase):
    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve the folder over HTTPS on loopback; return its URL."""
        write_certificates(self.folder / "tls")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "tls/server-cert.pem", self.folder / "tls/server-key.pem")
        handler = functools.partial(Quiet, directory=str(self.folder))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield f"https://127.0.0.1:{server.server_address[1]}"
            finally:
                server.shutdown()
                thread.join()

    async def test_an_archive_is_streamed_from_a_trusted_server(self) -> None:
        self.write(gzip.compress(await self.saved("far", "lab/archived"), 1))
        with self.serve() as url:
            message = await self.fails(self.load(f"{url}/app.tar"), ObtainFailed)
            self.assertIn("certificate verify failed", message)
            with mock.patch.dict("os.environ", SSL_CERT_FILE=str(self.folder / "tls/ca.pem")):
                source = ArchiveSource(f"{url}/app.tar", self.context())
                image = await self.obtain(source)
                self.assertEqual((self.label(image), image.revision), ("far", await source.newest()))
                self.assertIn("HTTP status 404", await self.fails(self.load(f"{url}/nothing.tar"), ObtainFailed))

    async def test_passwords_and_signatures_appear_in_no_message(self) -> None:
        source = ArchiveSource("https://me:secret@127.0.0.1:1/app.tar?X-Amz-Signature=secret", self.context())
        message = await self.fails(self.obtain(source))
        self.assertNotIn("secret", message + source.describe())

    async def test_a_server_that_stops_during_a_transfer_fails_the_load(self) -> None:
        archive = await self.saved("cut", "lab/archived")
        with raw_server(f"HTTP/1.1 200 OK\r\nContent-Length: {len(archive)}\r\n\r\n".encode() + archive[:5000]) as port:
            message = await self.fails(self.load(f"http://127.0.0.1:{port}/app.tar"), ObtainFailed)
        self.assertIn("the server stopped after 4.9KiB of", message)
        self.assertIsNone(self.image_id("hanoverd/sourced:v1"))

    async def test_a_load_from_a_silent_server_can_be_cancelled(self) -> None:
        archive = await self.saved("slow", "lab/archived")
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(archive)}\r\n\r\n".encode()
        with raw_server(head + archive[:20_000], closes=False) as port:
            work = self.load(f"http://127.0.0.1:{port}/app.tar")
            await sleep(REACTOR, 0.5)
            self.assertLess(await self.cancelled(work), SOON)


class S3Tests(ArchiveCase):
    @contextmanager
    def serve(self) -> Iterator[dict[str, str]]:
        """Run an S3 server with the bucket ``images``; return the environment for its clients."""
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            _, port = server.get_host_and_port()
            yield {
                "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}",
                "AWS_ACCESS_KEY_ID": "lab",
                "AWS_SECRET_ACCESS_KEY": "lab",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
        finally:
            server.stop()

    async def test_an_object_is_streamed(self) -> None:
        archive = await self.saved("in-a-bucket", "lab/archived")
        with self.serve() as environ, mock.patch.dict("os.environ", environ):
            await deferToThread(self.put, archive)
            source = ArchiveSource("s3://images/a b/app.tar", self.context())
            image = await self.obtain(source)
            self.assertEqual((self.label(image), image.revision), ("in-a-bucket", await source.newest()))
            self.assertIn("NoSuchKey", await self.fails(self.load("s3://images/nothing"), ObtainFailed))
            self.assertIn("NoSuchBucket", await self.fails(self.load("s3://none/app.tar"), ObtainFailed))

    def put(self, archive: bytes) -> None:
        """Upload a file to the bucket."""
        client = boto3.client("s3")
        client.create_bucket(Bucket="images")
        client.put_object(Bucket="images", Key="a b/app.tar", Body=archive)

    async def test_missing_credentials_are_reported(self) -> None:
        without = {"HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "us-east-1"}
        with mock.patch.dict("os.environ", without):
            message = await self.fails(self.load("s3://images/app.tar"), ObtainFailed)
        self.assertIn("Credentials come from the environment", message)


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def raw_server(said: bytes, *, closes: bool = True) -> Iterator[int]:
    """Run a server that sends the same answer to every client."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(10_000)
                connection.sendall(said)
                if not closes:
                    ended.wait(20)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
