"""A range of ports: each host port reaches the port of the same number in the container, whatever port the client uses."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.integration.conftest import StartDaemon
from tests.lab.host import Lab
from tests.lab.images import write_app

#: The range, and those of its ports that are asked.
FIRST, LAST = 8000, 8005
ASKED = (FIRST, FIRST + 1, LAST)

#: A second address of the lab's host.
SECOND = "10.203.0.3"

#: Asks the ports over TCP and UDP at all addresses, from one port of its own for all addresses, while the connection to the
#: one before is still open; prints what answered.
_ASK = """
import json, socket, sys
source, addresses, ports = json.loads(sys.argv[1])
answers = []
for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
    for port in ports:
        source += 1
        opened = []
        for address in addresses:
            client = socket.socket(socket.AF_INET, kind)
            opened.append(client)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            client.settimeout(5)
            client.bind(("", source))
            client.connect((address, port))
            client.send(b"port" if kind == socket.SOCK_DGRAM else b"GET /port HTTP/1.1\\r\\n\\r\\n")
            answers.append([port, *client.recv(4096).decode().split()[-2:]])
        for client in opened:
            client.close()
print(json.dumps(answers))
"""


def answers(
    prefixed: Callable[[list[str]], list[str]], source: int, addresses: tuple[str, ...]
) -> list[tuple[int, str, str]]:
    """Ask, from ports of the client after ``source``; return each port with the version and the port that answered."""
    argv = prefixed([sys.executable, "-c", _ASK, json.dumps([source, addresses, ASKED])])
    printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return [(port, version, reached) for port, version, reached in json.loads(printed)]


def test_each_port_of_a_range_reaches_the_port_of_the_same_number(
    lab: Lab, tmp_path: Path, daemon: StartDaemon
) -> None:
    ports = ",".join(map(str, range(FIRST, LAST + 1)))
    write_app(tmp_path, expose=(FIRST,), env={"PORTS": ports, "UDP_PORTS": ports})
    published = f"{FIRST}-{LAST}:{FIRST}-{LAST}"
    subprocess.run(lab.in_host(["ip", "address", "add", f"{SECOND}/24", "dev", "lab0"]), check=True)
    try:
        with daemon("--name", "range", "-p", published, "-p", f"{published}/udp", cwd=tmp_path) as hanoverd:
            for number in range(2):
                hanoverd.wait_live(f"range-{number}", timeout=60)
                expected = [(port, f"range-{number}", str(port)) for port in ASKED for _ in range(2)] * 2
                source = 5000 + number * 100
                assert answers(lab.in_client, source, (lab.host_ip, SECOND)) == expected
                assert answers(lab.in_host, source, (lab.host_ip, "127.0.0.1")) == expected
                hanoverd.hup()
            hanoverd.wait_live("range-2", timeout=60)
    finally:
        subprocess.run(lab.in_host(["ip", "address", "delete", f"{SECOND}/24", "dev", "lab0"]), check=True)
