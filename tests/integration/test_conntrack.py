"""The program ``conntrack``, in a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from hanoverd.network.conntrack import Conntrack
from hanoverd.runtime.processes import ProcessReactor

REACTOR: ProcessReactor = reactor  # type: ignore[assignment]  # it provides the interface at run time

#: Addresses in a network without hosts; and the server's.
DEAD, ALSO_DEAD, OTHER, SERVER = "10.204.0.2", "10.204.0.3", "10.204.0.4", "10.204.0.1"

#: Starts connections that are not answered, one that is answered and stays open, and one that is answered and finished.
CLIENT = f"""
import socket, sys
for address in ("{DEAD}", "{ALSO_DEAD}", "{OTHER}"):
    one = socket.socket()
    one.setblocking(False)
    one.connect_ex((address, 80))
server = socket.create_server(("{SERVER}", 80))
held = socket.create_connection(("{SERVER}", 80))
finished = socket.create_connection(("{SERVER}", 80))
answered, _ = server.accept()
peer, _ = server.accept()
peer.close()
finished.recv(1)
finished.close()
print("connected", flush=True)
sys.stdin.read()
"""

#: Deletes the finished connections of an address, as hanoverd does.
DELETE = """
import dataclasses, os, subprocess, sys
from hanoverd.network.conntrack import finished
from hanoverd.network.netlink import deletions
listing = subprocess.run(["conntrack", "-L", "-p", "tcp", "--reply-src", sys.argv[1]], capture_output=True, text=True)
replies = finished(listing.stdout)
assert replies
{}
for _ in deletions(replies):
    pass
"""


class ConntrackTests(TestCase):
    def setUp(self) -> None:
        self.namespace = f"hanoverd-{os.getpid()}-conntrack"
        self.ip("netns", "add", self.namespace)
        self.addCleanup(self.ip, "netns", "delete", self.namespace)
        self.ip("-n", self.namespace, "link", "add", "near", "type", "veth", "peer", "far")
        self.ip("-n", self.namespace, "address", "add", f"{SERVER}/24", "dev", "near")
        for link in ("lo", "near", "far"):
            self.ip("-n", self.namespace, "link", "set", link, "up")
        # The kernel tracks where a rule asks for it.
        self.inside("iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "NEW")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        program = Path(folder.name, "conntrack")
        real = shutil.which("conntrack")
        program.write_text(f'#!/bin/sh\nexec nsenter --net=/run/netns/{self.namespace} {real} "$@"\n')
        program.chmod(0o755)
        self.conntrack = Conntrack(REACTOR, {"PATH": f"{folder.name}:{os.environ['PATH']}"})
        client = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.namespace}", sys.executable, "-c", CLIENT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert client.stdout is not None
        self.addCleanup(client.communicate)
        self.assertEqual(client.stdout.readline(), b"connected\n")

    def ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True)

    def inside(self, *argv: str) -> str:
        command = ["nsenter", f"--net=/run/netns/{self.namespace}", *argv]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def unanswered(self) -> set[str]:
        """The addresses that the kernel waits for an answer from."""
        listing = self.inside("conntrack", "-L", "-p", "tcp", "--state", "SYN_SENT")
        return {address for address in (DEAD, ALSO_DEAD, OTHER) if f"dst={address} " in listing}

    async def test_connections_without_an_answer_are_deleted_and_active_ones_are_not(self) -> None:
        self.assertEqual(self.unanswered(), {DEAD, ALSO_DEAD, OTHER})
        self.assertEqual(await self.conntrack.count([DEAD]), 0)
        self.assertEqual(await self.conntrack.count([SERVER, DEAD]), 1)
        await self.conntrack.forget_unanswered([DEAD, ALSO_DEAD, SERVER])
        self.assertEqual(self.unanswered(), {OTHER})
        self.assertEqual(await self.conntrack.count([SERVER]), 1)

    def test_finished_connections_are_deleted_and_active_ones_are_not(self) -> None:
        def tracked(state: str) -> list[str]:
            return self.inside("conntrack", "-L", "-p", "tcp", "--state", state).splitlines()

        self.assertEqual((len(tracked("TIME_WAIT")), len(tracked("ESTABLISHED"))), (1, 1))
        self.inside(sys.executable, "-c", DELETE.format(""), SERVER)
        self.assertEqual((len(tracked("TIME_WAIT")), len(tracked("ESTABLISHED"))), (0, 1))

    def test_connections_that_of_the_same_client_port_to_another_address_are_left(self) -> None:
        before = self.inside("conntrack", "-L").count("\n")
        other_address = (
            "replies = [dataclasses.replace(one, source=replies[0].destination.__class__(1)) for one in replies]"
        )
        self.inside(sys.executable, "-c", DELETE.format(other_address), SERVER)
        self.assertEqual(self.inside("conntrack", "-L").count("\n"), before)

    def test_without_permission_nothing_is_deleted(self) -> None:
        with self.assertRaises(subprocess.CalledProcessError) as caught:
            self.inside(sys.executable, "-c", DELETE.format("os.setuid(65534)"), SERVER)
        self.assertIn("PermissionError", caught.exception.stderr)
