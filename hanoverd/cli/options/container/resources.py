"""Options that limit a container's resources.  While two versions run side by side, they count twice."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BILLIONTHS, BOOLEAN, INTEGER, SIZE, plain, repeated
from hanoverd.spec.run.limits import check_swappiness, join_ulimits, parse_swap, parse_ulimit, parse_weight_device
from hanoverd.text.numbers import parse_unsigned

RESOURCES = (
    Option(
        name="blkio-weight",
        metavar="WEIGHT",
        help="Block IO weight (relative), between 10 and 1000, or 0 to disable",
        value=plain(lambda text: parse_unsigned(text, bits=16)),
        request="HostConfig.BlkioWeight",
    ),
    Option(
        name="blkio-weight-device",
        kind=Kind.REPEATED,
        metavar="DEVICE:WEIGHT",
        help="Block IO weight of a device",
        value=repeated(parse_weight_device),
        request="HostConfig.BlkioWeightDevice",
    ),
    Option(
        name="cgroup-parent",
        metavar="CGROUP",
        help="Parent cgroup for the container",
        request="HostConfig.CgroupParent",
    ),
    Option(
        name="cpu-period",
        metavar="MICROSECONDS",
        help="CPU CFS (Completely Fair Scheduler) period",
        value=INTEGER,
        request="HostConfig.CpuPeriod",
    ),
    Option(
        name="cpu-quota",
        metavar="MICROSECONDS",
        help="CPU CFS (Completely Fair Scheduler) quota",
        value=INTEGER,
        request="HostConfig.CpuQuota",
    ),
    Option(
        name="cpu-rt-period",
        metavar="MICROSECONDS",
        help="CPU real-time period",
        value=INTEGER,
        request="HostConfig.CpuRealtimePeriod",
    ),
    Option(
        name="cpu-rt-runtime",
        metavar="MICROSECONDS",
        help="CPU real-time runtime",
        value=INTEGER,
        request="HostConfig.CpuRealtimeRuntime",
    ),
    Option(
        name="cpu-shares",
        letter="c",
        metavar="WEIGHT",
        help="CPU shares (relative weight)",
        value=INTEGER,
        request="HostConfig.CpuShares",
    ),
    Option(
        name="cpus",
        metavar="NUMBER",
        help="Number of CPUs",
        text="A decimal number or a fraction, such as ``1.5`` or ``1/2``.",
        value=BILLIONTHS,
        request="HostConfig.NanoCpus",
    ),
    Option(
        name="cpuset-cpus",
        metavar="CPUS",
        help="CPUs in which to allow execution (0-3, 0,1)",
        request="HostConfig.CpusetCpus",
    ),
    Option(
        name="cpuset-mems",
        metavar="NODES",
        help="Memory nodes in which to allow execution (0-3, 0,1)",
        request="HostConfig.CpusetMems",
    ),
    Option(name="kernel-memory", metavar="BYTES", help="Does nothing: Docker ignores it", value=SIZE),
    Option(
        name="memory",
        letter="m",
        metavar="BYTES",
        help="Memory limit",
        text="A number with a unit: ``b``, ``k``, ``m``, ``g`` and so on, powers of 1024.",
        value=SIZE,
        request="HostConfig.Memory",
    ),
    Option(
        name="memory-reservation",
        metavar="BYTES",
        help="Memory soft limit",
        value=SIZE,
        request="HostConfig.MemoryReservation",
    ),
    Option(
        name="memory-swap",
        metavar="BYTES",
        help="Swap limit equal to memory plus swap: -1 to enable unlimited swap",
        value=plain(parse_swap),
        request="HostConfig.MemorySwap",
    ),
    Option(
        name="memory-swappiness",
        metavar="PERCENT",
        help="Tune container memory swappiness (0 to 100)",
        value=replace(INTEGER, check=check_swappiness, is_whole_message=True),
        request="HostConfig.MemorySwappiness",
    ),
    Option(
        name="oom-kill-disable",
        kind=Kind.BOOLEAN,
        help="Disable OOM Killer",
        value=BOOLEAN,
        request="HostConfig.OomKillDisable",
    ),
    Option(
        name="oom-score-adj",
        metavar="SCORE",
        help="Tune host's OOM preferences (-1000 to 1000)",
        value=INTEGER,
        request="HostConfig.OomScoreAdj",
    ),
    Option(
        name="pids-limit",
        metavar="NUMBER",
        help="Tune container pids limit (set -1 for unlimited)",
        value=INTEGER,
        request="HostConfig.PidsLimit",
    ),
    Option(
        name="ulimit",
        kind=Kind.REPEATED,
        metavar="NAME=SOFT[:HARD]",
        help="Set a ulimit",
        value=plain(parse_ulimit, join=join_ulimits),
        request="HostConfig.Ulimits",
    ),
)
