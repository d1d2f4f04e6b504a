"""The options of building and pulling images, for the daemon and for the builder."""

from __future__ import annotations

from dataclasses import replace

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import BOOLEAN, FOLDER, PATH, POSITIVE_SIZE, SIZE, Context, Value, one_of, plain
from hanoverd.spec.build import BUILDERS, parse_build_arg, parse_pull
from hanoverd.spec.git_options import parse_submodules
from hanoverd.text.sizes import parse_size

_LEAST_SIZE = 1024 * 1024


def _read_build_arg(text: str, context: Context) -> tuple[str, str | None]:
    return parse_build_arg(text, context.environ)


def _parse_max_size(text: str) -> int:
    size = parse_size(text)
    if size < _LEAST_SIZE:
        raise ValueError("it must be 1m or more")
    return size


PULL = Option(
    name="pull",
    metavar="always|missing|never",
    help="Pull the image before each handover (default: missing; with --hookbot, always)",
    text="As in docker run.",
    value=plain(parse_pull, is_late=True),
    place="source.pull",
)

PLATFORM = Option(
    name="platform",
    metavar="SYSTEM/ARCHITECTURE",
    help="Set platform if the engine is multi-platform capable",
    variable="DOCKER_DEFAULT_PLATFORM",
)

MAX_ARCHIVE_SIZE = Option(
    name="archive-max-size",
    metavar="SIZE",
    default="10g",
    help="Maximum size of the archive that an image is loaded from",
    text="""\
A size as in docker run: ``500m``, ``2.5g``. It holds for the archive as it is stored, and for the archive after it was
decompressed. A larger archive fails the handover.""",
    value=POSITIVE_SIZE,
    place="source.max_archive_size",
)

BUILD = (
    Option(
        name="build-file",
        metavar="PATH",
        help="Dockerfile to build (default: Dockerfile in the folder that is built)",
        text="""\
As docker build's ``--file``: it can be outside of the folder. For a repository, it is a path in the folder that is
built.""",
        value=replace(PATH, is_late=True),
        place="source.build.file",
    ),
    Option(
        name="build-arg",
        kind=Kind.REPEATED,
        metavar="NAME[=VALUE]",
        help="Set a build argument",
        text="As in docker build: ``NAME`` alone takes the value from hanoverd's own environment.",
        value=Value(_read_build_arg, join=dict),
        place="source.build.args",
        secret=Secret.AFTER_EQUALS,
    ),
    Option(
        name="build-target",
        metavar="STAGE",
        help="Stage of the Dockerfile to build (default: the last)",
        place="source.build.target",
    ),
    Option(
        name="no-cache",
        kind=Kind.BOOLEAN,
        help="Build without the engine's cache",
        value=BOOLEAN,
        place="source.build.no_cache",
    ),
    Option(
        name="builder",
        metavar="auto|classic|buildkit",
        default="auto",
        help="Builder to use",
        text="""\
``classic`` is the engine's own builder. ``buildkit`` is BuildKit through the docker command, which has to be on PATH;
Docker 23 and newer need its buildx plugin. ``auto`` uses the classic builder unless the Dockerfile needs BuildKit:
``# syntax=``, ``RUN --mount``, ``COPY --link``, ``<<EOF`` and so on.""",
        value=one_of(BUILDERS),
        place="source.build.builder",
    ),
    Option(
        name="build-context-limit",
        metavar="SIZE",
        default="16g",
        help="Maximum size of a build context; 0 for no limit",
        text="""\
Of the files that the classic builder is sent, and of the output of the first of two stages. It keeps a folder from
filling the disk of the host. BuildKit copies only the files that the Dockerfile uses, and has no limit here.""",
        value=SIZE,
        place="source.build.context_limit",
    ),
)

REPOSITORY = (
    Option(
        name="git-protocol",
        metavar="https|ssh",
        default="https",
        help="Protocol for a repository that is written as HOST/USER/REPO",
        text="""\
With https, git asks its credential helpers for a login; with ssh, the user is ``git``, and ssh uses its agent and
keys. Nothing asks for a password on the terminal. ``GIT_SSH_COMMAND`` and git's configuration apply.""",
        value=one_of(("https", "ssh")),
        place="source.git.protocol",
    ),
    Option(
        name="git-submodules",
        kind=Kind.REPEATED,
        metavar="HOST/USER/REPO",
        help="Repository that submodules may come from (default: commits with submodules are refused)",
        text="""\
``HOST/USER/*`` allows all repositories of a user. ``none`` leaves the folders of submodules empty. A submodule is
fetched with the same login as the repository, and everyone who can push to the repository chooses its submodules:
allow only what these people may read.""",
        value=plain(parse_submodules),
        place="source.git.submodules",
    ),
    Option(
        name="git-max-size",
        metavar="SIZE",
        default="10g",
        help="Largest copy of a repository, and largest total size of the files of a commit",
        text="As in ``--memory``: a number with b, k, m or g. git may use a quarter of it as memory, 2 GiB at least.",
        value=plain(_parse_max_size),
        place="source.git.max_size",
    ),
    Option(
        name="state-dir",
        metavar="FOLDER",
        help="Folder for the copies of repositories (default: /var/lib/hanoverd, or ~/.local/state/hanoverd)",
        text="""\
The copies are in its folder ``mirrors``, which only hanoverd's user can enter. hanoverd refuses a ``mirrors`` that it
has not created itself on this machine, and folders in which other users can replace it. The environment variable
``HANOVERD_STATE_DIR`` changes the default, and ``XDG_STATE_HOME`` does for users other than root.""",
        value=FOLDER,
        place="source.state_folder",
    ),
)
