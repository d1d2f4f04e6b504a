"""The program git, with limits for what a repository or its host can make it do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from twisted.internet.defer import Deferred

from hanoverd.images import quirks
from hanoverd.images.git_environment import git_environment, without_secrets
from hanoverd.runtime.clock import TimedOut, within
from hanoverd.runtime.errors import ObtainFailed, OutputTooLong
from hanoverd.runtime.processes import Ended, ProcessReactor, run
from hanoverd.runtime.search_path import find_program
from hanoverd.spec.git_location import GitLocation
from hanoverd.text.durations import format_duration
from hanoverd.text.lines import TAIL, TAIL_WIDTH, shortened

#: How long git may work, in seconds: with a host (``--obtain-timeout`` is the limit that users set), with a host whose answer
#: is short, and on this machine.
NETWORK_SECONDS, SHORT_SECONDS, LOCAL_SECONDS = 2 * 3600.0, 120.0, 1800.0

#: How much git may print, in bytes; hosts can add to its messages without end.
_OUTPUT_LIMIT = 1024 * 1024

#: The least memory that git may use, in bytes; more for larger repositories.
_LEAST_MEMORY, _MEMORY_SHARE = 2 * 1024**3, 4

#: Runs a program with limits for the size of each file that it writes, and for its memory (setrlimit(2)). A system with lower
#: limits keeps them. The files of a checkout get the modes that the repository gives them, whatever the umask of hanoverd.
_LIMITED = 'umask 022; ulimit -c 0; ulimit -f "$1" || :; ulimit -d "$2" || :; shift 2; exec "$@"'


class Git:
    """Runs git for the repository at ``location``, whose copy is in the folder ``repository``.

    All methods fail with ``ObtainFailed``, with git's error and without secrets. Cancel ends git.
    """

    def __init__(
        self,
        reactor: ProcessReactor,
        environ: Mapping[str, str],
        location: GitLocation,
        repository: Path,
        max_size: int,
    ) -> None:
        self._reactor = reactor
        self.environ = git_environment(environ, location)
        self._location = location
        self._repository = repository
        self._max_size = max_size

    async def run(self, *arguments: str, seconds: float = LOCAL_SECONDS, max_file: int | None = None) -> str:
        """Return the output of git, whose files may have ``max_file`` bytes each."""
        ended = await self._run(arguments, seconds, max_file)
        if ended.code != 0:
            raise self._failure(arguments, ended)
        return ended.stdout.strip()

    async def succeeds(self, *arguments: str) -> bool:
        """Return whether git exits with status 0."""
        return (await self._run(arguments, LOCAL_SECONDS, None)).code == 0

    async def try_(self, *arguments: str) -> str | None:
        """Return the output of git; None if it fails."""
        ended = await self._run(arguments, LOCAL_SECONDS, None)
        return ended.stdout.strip() if ended.code == 0 else None

    async def read(self, take: Callable[[bytes], object], *arguments: str) -> None:
        """Pass the output of git to ``take``, piece by piece."""
        ended = await self._run(arguments, LOCAL_SECONDS, None, take)
        if ended.code != 0:
            raise self._failure(arguments, ended)

    async def check_settings(self) -> None:
        """Fail if git does not know the variables with hanoverd's settings (before version 2.31)."""
        if await self.try_("config", "core.hooksPath") != "/dev/null":
            raise ObtainFailed("git is too old: hanoverd needs version 2.31 or newer")

    async def check_out(self, commit: str, folder: Path, index: Path) -> None:
        """Write the files of a commit into an empty folder; ``index`` is a file for git."""
        # LFS and other filters that the user has set up look for the URL here.
        settings = ("-c", f"remote.origin.url={self._location.url}")
        where = (f"--work-tree={folder}", "read-tree", "--reset", "-u", commit)
        environ = {**self.environ, "GIT_INDEX_FILE": str(index)}
        ended = await self._run((*settings, *where), LOCAL_SECONDS, None, cwd=folder, environ=environ)
        if ended.code != 0:
            raise self._failure(("checkout",), ended)

    async def _run(
        self,
        arguments: tuple[str, ...],
        seconds: float,
        max_file: int | None,
        take: Callable[[bytes], object] | None = None,
        *,
        cwd: Path = Path("/"),
        environ: Mapping[str, str] | None = None,
    ) -> Ended:
        environ = self.environ if environ is None else environ
        # --git-dir: git does not search for a repository, which may be another one's.
        command = [find_program("git", environ), f"--git-dir={self._repository}", *arguments]
        memory = max(_LEAST_MEMORY, self._max_size // _MEMORY_SHARE)
        blocks = ((self._max_size if max_file is None else max_file) // 512, memory // 1024)
        limited = ["sh", "-c", _LIMITED, "sh", *(str(number) for number in blocks), *command]
        work = run(
            self._reactor,
            limited,
            environ,
            cwd=str(cwd),
            on_stdout=take,
            limit=_OUTPUT_LIMIT,
            with_children=True,
        )
        try:
            return await within(self._reactor, seconds, Deferred.fromCoroutine(work))
        except TimedOut:
            raise ObtainFailed(
                f"git {_verb(arguments)} of {self._location.shown} was not done within {format_duration(seconds)}"
            ) from None
        except OutputTooLong:
            raise ObtainFailed(
                f"git {_verb(arguments)} of {self._location.shown} printed more than {_OUTPUT_LIMIT} bytes, and was killed"
            ) from None

    def _failure(self, arguments: tuple[str, ...], ended: Ended) -> ObtainFailed:
        text = without_secrets((ended.stderr or ended.stdout).strip(), self._location)
        lines = [shortened(_printable(line), TAIL_WIDTH) for line in text.splitlines()[-TAIL:]]
        error = "\n    ".join(lines) or f"exit status {ended.code}"
        return ObtainFailed(f"git {_verb(arguments)} of {self._location.shown} failed: {error}{quirks.hint(text)}")


def _verb(arguments: tuple[str, ...]) -> str:
    return next(word for word in arguments if not word.startswith("-"))


def _printable(line: str) -> str:
    """Return a line without characters that control a terminal: the host can put any into its messages."""
    return "".join(char if char.isprintable() else "?" for char in line)
