"""Requests a second, and the 99th percentile of their times, on the way through hanoverd and on others, in the same run.

usage: python -m benchmarks.throughput [--engine 26|28] [--rounds N] [--seconds N] [--connections N]
       (as root, from the project's root; wrk, nginx and haproxy must be installed, and are run with settings of the
       benchmark; by default 7 rounds of 5 seconds and 32 connections)

In a lab of its own (see tests/lab). The app is an nginx in a container, which answers from memory. One wrk on another host
sends requests over connections that it keeps open

* straight to the container's address,
* to the port that hanoverd publishes,
* to a port that the engine itself publishes, of a container of the same image,
* to an HAProxy, and to an nginx, on the host with the engine, which keep connections to the app open too.

The ways take turns in each round, in another order each time. Prints medians, and the medians of the ratios to "straight" of
the same round.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lab import lab_of, parser_for
from tests.lab.daemon import Daemon
from tests.lab.host import Lab
from tests.lab.images import BASE, shared_libraries

#: The host's ports of each way.
HANOVERD, ENGINE, HAPROXY, NGINX = 8080, 8081, 8082, 8083

_APP_CONF = """
daemon off;
worker_processes 1;
error_log stderr;
pid /tmp/nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path /tmp/1; proxy_temp_path /tmp/2; fastcgi_temp_path /tmp/3; uwsgi_temp_path /tmp/4; scgi_temp_path /tmp/5;
    server { listen 80; location / { return 200 "the answer of a small app, which fits into one packet\\n"; } }
}
"""

_NGINX_CONF = """
daemon off;
worker_processes auto;
error_log stderr;
pid FOLDER/nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path FOLDER/1; proxy_temp_path FOLDER/2; fastcgi_temp_path FOLDER/3; uwsgi_temp_path FOLDER/4; scgi_temp_path FOLDER/5;
    upstream app { server ADDRESS:80; keepalive 256; keepalive_requests 100000000; }
    server {
        listen PORT;
        location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; }
    }
}
"""

_HAPROXY_CONF = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
listen app
    bind :PORT
    server app ADDRESS:80
"""


@dataclass(frozen=True)
class Measured:
    """The result of one run of wrk."""

    requests_per_second: float
    p99_milliseconds: float


def write_nginx(folder: Path) -> None:
    """Write a folder that builds an image with this machine's nginx."""
    program = shutil.which("nginx")
    assert program is not None
    root = folder / "root"
    for path in (program, *shared_libraries([program])):
        copy = root / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("nobody:x:65534:65534::/:/bin/false\n")
    (root / "etc" / "group").write_text("nogroup:x:65534:\n")
    for needed in ("var/log/nginx", "var/lib/nginx"):
        (root / needed).mkdir(parents=True)
    (folder / "app.conf").write_text(f"user nobody nogroup;{_APP_CONF}")
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nCOPY root /\nCOPY app.conf /app.conf\nEXPOSE 80\nSTOPSIGNAL SIGQUIT\n"
        f'CMD ["{program}", "-c", "/app.conf"]\n'
    )


def measure(lab: Lab, target: str, seconds: int, connections: int) -> Measured:
    """Run wrk on the other host; each answer must be a good one."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://{target}/"]
    printed = subprocess.run(lab.in_client(argv), capture_output=True, text=True, check=True).stdout
    assert "Socket errors" not in printed, printed
    assert "Non-2xx" not in printed, printed
    return parse_wrk(printed)


def parse_wrk(printed: str) -> Measured:
    """Read what ``wrk --latency`` prints."""
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", printed)
    p99 = re.search(r"99%\s+([0-9.]+)(us|ms|s)\b", printed)
    assert rate is not None, printed
    assert p99 is not None, printed
    return Measured(float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]])


@contextmanager
def on_host(lab: Lab, argv: Sequence[str], port: int) -> Iterator[None]:
    """Run a proxy on the host with the engine; it answers when this yields."""
    process = subprocess.Popen(lab.in_host(argv))
    try:
        deadline = time.monotonic() + 10
        probe = lab.in_host(["curl", "-fsS", "-o", "/dev/null", f"http://127.0.0.1:{port}/"])
        while subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode != 0:
            assert process.poll() is None, argv
            assert time.monotonic() < deadline, argv
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def published_by_the_engine(lab: Lab, image: str) -> Iterator[None]:
    """Run a container that the engine publishes on ``ENGINE``."""
    body = {
        "Image": image,
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": str(ENGINE)}]}},
    }
    status, answer = lab.docker("POST", "/containers/create?name=engines-own", body)
    assert status == 201, answer
    try:
        status, answer = lab.docker("POST", "/containers/engines-own/start")
        assert status == 204, answer
        yield
    finally:
        lab.docker("DELETE", "/containers/engines-own?force=1")


def open_straight_way(lab: Lab, address: str) -> None:
    """Let the other host send packets to the container's own address: Docker 28 drops them, and the host has no route."""
    for argv in (
        lab.in_client(["ip", "route", "replace", f"{address}/32", "via", lab.host_ip]),
        lab.in_host(["iptables", "-t", "raw", "-I", "PREROUTING", "-s", lab.client_ip, "-d", address, "-j", "ACCEPT"]),
    ):
        subprocess.run(argv, check=True)


@contextmanager
def ways(lab: Lab, folder: Path) -> Iterator[dict[str, str]]:
    """Run the app and all proxies; yields the address and port of each way."""
    app = folder / "static"
    app.mkdir()
    write_nginx(app)
    with ExitStack() as stack:
        hanoverd = stack.enter_context(Daemon(lab, ["-p", f"{HANOVERD}:80"], app))
        live = hanoverd.wait_live("static-0")
        [container] = lab.containers("static")
        described = json.loads(lab.docker("GET", f"/containers/{container['Id']}/json")[1])
        address = next(iter(described["NetworkSettings"]["Networks"].values()))["IPAddress"]
        print(live.message, flush=True)
        open_straight_way(lab, address)
        stack.enter_context(published_by_the_engine(lab, described["Image"]))
        for name, conf, port, argv in (
            ("haproxy", _HAPROXY_CONF, HAPROXY, ["haproxy", "-db", "-f"]),
            ("nginx", _NGINX_CONF, NGINX, ["nginx", "-c"]),
        ):
            file = folder / f"{name}.conf"
            text = conf.replace("PORT", str(port)).replace("ADDRESS", address).replace("FOLDER", str(folder))
            file.write_text(text)
            stack.enter_context(on_host(lab, [*argv, str(file)], port))
        yield {
            "straight": f"{address}:80",
            "hanoverd": f"{lab.host_ip}:{HANOVERD}",
            "the engine's own -p": f"{lab.host_ip}:{ENGINE}",
            "HAProxy": f"{lab.host_ip}:{HAPROXY}",
            "nginx": f"{lab.host_ip}:{NGINX}",
        }


def main() -> None:
    """Measure, and print the table."""
    parser = parser_for(__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    with lab_of(options) as lab, tempfile.TemporaryDirectory() as name, ways(lab, Path(name)) as targets:
        results: dict[str, list[Measured]] = {title: [] for title in targets}
        order = list(targets)
        for target in targets.values():
            measure(lab, target, 1, options.connections)
        for _ in range(options.rounds):
            for title in order:
                results[title].append(measure(lab, targets[title], options.seconds, options.connections))
            # Each comes first once in a while.
            order = [*order[1:], order[0]]
    print(
        f"medians of {options.rounds} rounds of {options.seconds} s, {options.connections} connections that stay open"
    )
    print("".ljust(24), "requests/s".rjust(12), "of straight".rjust(12), "p99 ms".rjust(9), "of straight".rjust(12))
    straight = results["straight"]
    for title, found in results.items():
        rates = [one.requests_per_second for one in found]
        p99s = [one.p99_milliseconds for one in found]
        rate = statistics.median(a / b.requests_per_second for a, b in zip(rates, straight, strict=True))
        p99 = statistics.median(a / b.p99_milliseconds for a, b in zip(p99s, straight, strict=True))
        print(
            title.ljust(24),
            f"{statistics.median(rates):12,.0f} {rate:12.2f} {statistics.median(p99s):9.2f} {p99:12.2f}",
        )


if __name__ == "__main__":
    main()
