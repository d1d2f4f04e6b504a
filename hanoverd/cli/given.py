"""The options of one command line: read one by one, then checked together."""

from __future__ import annotations

from typing import Any, TypeVar, get_type_hints

from hanoverd.cli.options.option import Kind, Option, Secret
from hanoverd.cli.options.values import Context
from hanoverd.cli.secrets import masked
from hanoverd.runtime.errors import UsageError
from hanoverd.text.quoting import quoted

_T = TypeVar("_T")

#: The options whose values docker reads or checks when it has read the whole line, in its order.
LATE = (
    *("pull", "mac-address", "memory-swappiness", "volume", "publish", "expose", "device", "env-file", "label-file"),
    *("pid", "uts", "userns", "cgroupns", "restart"),
)


class Tree(dict[str, Any]):
    """The parts of a specification by name, as far as they are known."""

    def put(self, place: str, value: object) -> None:
        """Put ``value`` at ``place``, such as ``health.uri``."""
        *above, last = place.split(".")
        part = self
        for name in above:
            part = part.setdefault(name, Tree())
        part[last] = value

    def make(self, kind: type[_T]) -> _T:
        """Make the specification, a dataclass; parts that are trees become dataclasses, too."""
        hints = get_type_hints(kind)
        return kind(
            **{name: value.make(hints[name]) if isinstance(value, Tree) else value for name, value in self.items()}
        )


class Given:
    """The values of the options of one command line.

    As in docker, some values are read at once, others when all options are there: so of several errors the same one is
    reported as by docker.
    """

    def __init__(self, options: tuple[Option, ...], context: Context) -> None:
        self.context = context
        #: The options and their texts, in the order of the command line.
        self.line: list[tuple[Option, str]] = []
        self._options = {option.name: option for option in options}
        self._values: dict[str, list[Any]] = {option.name: [] for option in options}

    def take(self, option: Option, text: str) -> None:
        """Take the next option; UsageError for a value that is wrong."""
        if not option.value.is_late:
            try:
                self._values[option.name].append(option.value.read(text, self.context))
            except ValueError as error:
                shown = "" if option.secret in (Secret.ALL, Secret.IN_URL) else f" {quoted(text)}"
                raise UsageError(f"invalid argument{shown} for {quoted(option.flags)} flag: {error}") from None
        self.line.append((option, text))

    def finish(self) -> None:
        """Read and check what is read when all options are there; UsageError for a value that is wrong."""
        for option in sorted(self._options.values(), key=_late_order):
            if option.value.is_late:
                self._values[option.name] = [self._read_late(option, text) for text in self._texts(option)]
            for value in self._values[option.name][-1:]:
                _check(option, value)

    def engine_problems(self) -> list[str]:
        """Return why the engine would refuse to create a container, as far as the values alone tell."""
        problems = []
        for option in self._options.values():
            for value in self._values[option.name]:
                try:
                    option.value.engine(value)
                except ValueError as error:
                    problems.append(f"{error} (--{option.name})")
        return problems

    def value(self, name: str) -> Any:
        """Return the value of an option: all of a repeated one, joined; else the last one, the default, or None.

        UsageError if the values of a repeated option do not go together.
        """
        option = self._options[name]
        values = self._values[name]
        if option.kind is Kind.REPEATED:
            try:
                return option.value.join(values)
            except ValueError as error:
                raise UsageError(str(error)) from None
        if values:
            return values[-1]
        text = (option.variable and self.context.environ.get(option.variable)) or option.default
        return None if text is None else option.value.read(text, self.context)

    def tree(self) -> Tree:
        """Return the values that have a place in the specification, each in its place."""
        tree = Tree()
        settings: dict[str, Any] = {}
        for option in self._options.values():
            if option.place and (self.is_given(option.name) or option.default is not None):
                tree.put(option.place, self.value(option.name))
            if option.request and self.is_given(option.name):
                value = self.value(option.name)
                # As in docker, an empty text is the same as none.
                if value != "":
                    settings[option.request] = value
        if settings:
            tree.put("container.settings", settings)
        return tree

    @property
    def options(self) -> tuple[Option, ...]:
        """All options that could be given."""
        return tuple(self._options.values())

    def is_given(self, name: str) -> bool:
        """Whether the option is on the command line."""
        return bool(self._values[name])

    def metavar(self, name: str) -> str:
        """Return what help calls the value of an option."""
        return self._options[name].metavar

    def texts(self, name: str) -> tuple[str, ...]:
        """Return the texts of an option, as they are on the command line."""
        return tuple(self._texts(self._options[name]))

    def _texts(self, option: Option) -> list[str]:
        return [text for given, text in self.line if given is option]

    def _read_late(self, option: Option, text: str) -> Any:
        try:
            return option.value.read(text, self.context)
        except ValueError as error:
            raise UsageError(
                f"{error} (in --{option.name} {quoted(masked(option, text))}, which takes {option.metavar})"
            ) from None


def _late_order(option: Option) -> int:
    return LATE.index(option.name) if option.name in LATE else len(LATE)


def _check(option: Option, value: Any) -> None:
    try:
        option.value.check(value)
    except ValueError as error:
        if option.value.is_whole_message:
            raise UsageError(str(error)) from None
        separator = "" if str(error).startswith(":") else " "
        raise UsageError(f"--{option.name}{separator}{error}") from None
