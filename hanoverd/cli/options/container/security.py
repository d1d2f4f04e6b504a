"""Options of what a container may do, and of the namespaces that it shares."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, TEXT, plain, repeated
from hanoverd.spec.run.isolation import (
    check_ipc_mode,
    parse_cgroup_mode,
    parse_pid_mode,
    parse_user_mode,
    parse_uts_mode,
)
from hanoverd.spec.run.pairs import parse_sysctl

_OWN = "Not ``container:`` with a version of the same app: it is removed by the next handover."

SECURITY = (
    Option(name="cap-add", kind=Kind.REPEATED, metavar="CAPABILITY", help="Add Linux capabilities"),
    Option(name="cap-drop", kind=Kind.REPEATED, metavar="CAPABILITY", help="Drop Linux capabilities"),
    Option(
        name="cgroupns",
        metavar="host|private",
        help="Cgroup namespace to use",
        value=plain(parse_cgroup_mode, is_late=True),
        request="HostConfig.CgroupnsMode",
    ),
    Option(
        name="group-add",
        kind=Kind.REPEATED,
        metavar="GROUP",
        help="Add additional groups to join",
        value=repeated(str),
        request="HostConfig.GroupAdd",
    ),
    Option(
        name="ipc",
        metavar="MODE",
        help="IPC mode to use",
        text=_OWN,
        value=replace(TEXT, engine=check_ipc_mode),
        request="HostConfig.IpcMode",
    ),
    Option(
        name="isolation",
        metavar="TECHNOLOGY",
        help="Container isolation technology; only default on Linux",
        request="HostConfig.Isolation",
    ),
    Option(
        name="pid",
        metavar="MODE",
        help="PID namespace to use: host or container:NAME",
        text=_OWN,
        value=plain(parse_pid_mode, is_late=True),
        request="HostConfig.PidMode",
    ),
    Option(
        name="privileged",
        kind=Kind.BOOLEAN,
        help="Give extended privileges to the container",
        value=BOOLEAN,
        request="HostConfig.Privileged",
    ),
    Option(
        name="runtime",
        metavar="NAME",
        help="Runtime to use for the container",
        request="HostConfig.Runtime",
    ),
    Option(
        name="security-opt",
        kind=Kind.REPEATED,
        metavar="OPTION",
        help="Security options",
        text="``seccomp=FILE`` is read at the start.",
    ),
    Option(
        name="sysctl",
        kind=Kind.REPEATED,
        metavar="NAME=VALUE",
        help="Set a namespaced kernel parameter",
        value=plain(parse_sysctl, join=dict),
        request="HostConfig.Sysctls",
    ),
    Option(
        name="userns",
        metavar="host",
        help="User namespace to use",
        value=plain(parse_user_mode, is_late=True),
        request="HostConfig.UsernsMode",
    ),
    Option(
        name="uts",
        metavar="host",
        help="UTS namespace to use",
        value=plain(parse_uts_mode, is_late=True),
        request="HostConfig.UTSMode",
    ),
)
