"""Options of a container's files."""

from __future__ import annotations

from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.options.values import BOOLEAN, SIZE, Context, Value, plain, refused, repeated
from hanoverd.spec.mounts import check_mount, parse_mount
from hanoverd.spec.volumes import AnonymousVolume, Bind, Volumes, check_volume, parse_volume


def _read_volume(text: str, context: Context) -> Bind | AnonymousVolume:
    return parse_volume(text, context.cwd)


def _read_mount(text: str, context: Context) -> dict[str, object]:
    return parse_mount(text, context.cwd)


def _parse_tmpfs(text: str) -> tuple[str, str]:
    path, _, options = text.partition(":")
    return path, options


FILESYSTEM = (
    Option(
        name="mount",
        kind=Kind.REPEATED,
        metavar="KEY=VALUE,...",
        help="Mount a folder, a volume, an image or a tmpfs",
        text="""\
``type=bind,source=/srv/data,target=/data,readonly``, for example. A source that starts with ``.`` is relative to the
current folder. The versions that run side by side share the source.""",
        value=Value(_read_mount, join=list, engine=check_mount),
        request="HostConfig.Mounts",
    ),
    Option(
        name="read-only",
        kind=Kind.BOOLEAN,
        help="Mount the container's root filesystem as read only",
        value=BOOLEAN,
        request="HostConfig.ReadonlyRootfs",
    ),
    Option(
        name="shm-size",
        metavar="BYTES",
        help="Size of /dev/shm",
        value=SIZE,
        request="HostConfig.ShmSize",
    ),
    Option(
        name="storage-opt",
        kind=Kind.REPEATED,
        metavar="KEY=VALUE",
        help="Storage driver options for the container",
    ),
    Option(
        name="tmpfs",
        kind=Kind.REPEATED,
        metavar="TARGET[:OPTIONS]",
        help="Mount a tmpfs",
        text="Each version has its own.",
        value=plain(_parse_tmpfs, join=dict),
        request="HostConfig.Tmpfs",
    ),
    Option(
        name="use-api-socket",
        kind=Kind.BOOLEAN,
        help="Not supported: mount the engine's socket with --volume",
        value=refused(BOOLEAN, "not supported: mount the socket with --volume"),
    ),
    Option(
        name="volume",
        letter="v",
        kind=Kind.REPEATED,
        metavar="[SOURCE:]TARGET[:MODE]",
        help="Mount a folder of the host, or a volume",
        text="""\
A SOURCE that starts with ``/`` or ``.`` is a folder; any other SOURCE is the name of a volume. The versions that run
side by side share both. Without SOURCE each version gets a new, empty volume, which is removed with it. MODE is a
comma-separated list of ``ro`` or ``rw``, ``z`` or ``Z``, ``[r]private``, ``[r]shared`` or ``[r]slave``, and
``nocopy``.""",
        value=Value(_read_volume, is_late=True, join=Volumes.of, engine=check_volume),
        place="container.volumes",
    ),
    Option(
        name="volume-driver",
        metavar="DRIVER",
        help="Driver of the container's volumes",
        request="HostConfig.VolumeDriver",
    ),
    Option(
        name="volumes-from",
        kind=Kind.REPEATED,
        metavar="CONTAINER[:MODE]",
        help="Mount the volumes of another container",
        text="Not of a version of the same app: it is removed by the next handover.",
        value=repeated(str),
        request="HostConfig.VolumesFrom",
    ),
)
