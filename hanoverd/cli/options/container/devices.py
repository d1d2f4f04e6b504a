"""Options of the host's devices.  Versions that run side by side both hold them."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import plain, repeated
from hanoverd.spec.run.devices import parse_device, parse_device_rule, parse_gpus
from hanoverd.spec.run.limits import parse_byte_rate, parse_operation_rate

DEVICES = (
    Option(
        name="device",
        kind=Kind.REPEATED,
        metavar="PATH[:PATH][:MODE]",
        help="Add a host device to the container",
        text="Or the name of a CDI device, ``VENDOR/CLASS=NAME``.",
        value=plain(parse_device, is_late=True),
    ),
    Option(
        name="device-cgroup-rule",
        kind=Kind.REPEATED,
        metavar="RULE",
        help="Add a rule to the cgroup allowed devices list",
        value=repeated(parse_device_rule),
        request="HostConfig.DeviceCgroupRules",
    ),
    Option(
        name="device-read-bps",
        kind=Kind.REPEATED,
        metavar="DEVICE:BYTES",
        help="Limit read rate (bytes per second) from a device",
        value=repeated(parse_byte_rate),
        request="HostConfig.BlkioDeviceReadBps",
    ),
    Option(
        name="device-read-iops",
        kind=Kind.REPEATED,
        metavar="DEVICE:NUMBER",
        help="Limit read rate (IO per second) from a device",
        value=repeated(parse_operation_rate),
        request="HostConfig.BlkioDeviceReadIOps",
    ),
    Option(
        name="device-write-bps",
        kind=Kind.REPEATED,
        metavar="DEVICE:BYTES",
        help="Limit write rate (bytes per second) to a device",
        value=repeated(parse_byte_rate),
        request="HostConfig.BlkioDeviceWriteBps",
    ),
    Option(
        name="device-write-iops",
        kind=Kind.REPEATED,
        metavar="DEVICE:NUMBER",
        help="Limit write rate (IO per second) to a device",
        value=repeated(parse_operation_rate),
        request="HostConfig.BlkioDeviceWriteIOps",
    ),
    Option(
        name="gpus",
        kind=Kind.REPEATED,
        metavar="all|NUMBER|KEY=VALUE,...",
        help="GPU devices to add to the container ('all' to pass all GPUs)",
        value=plain(parse_gpus),
    ),
)
