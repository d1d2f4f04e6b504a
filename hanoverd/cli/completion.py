"""Completion of the command line in bash, zsh and fish, made from the tables of commands and options."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from hanoverd.cli.command import Command
from hanoverd.cli.commands import COMMANDS, DAEMON
from hanoverd.cli.options.option import Kind, Option

_ALL = (DAEMON, *COMMANDS)

#: What help calls values that are paths.
_PATHS = frozenset({"FILE", "FOLDER", "PATH"})

_HEADER = """\
# Completion of hanoverd for {name}.
# Generated from the options' definitions: python -m hanoverd.cli.completion {name}
"""

#: Prints the names of the running apps.
_APPS = "hanoverd list 2>/dev/null | awk 'NR > 1 {print $1}'"


def choices(option: Option) -> tuple[str, ...]:
    """Return the values among which the user can choose; none if any text is a value."""
    words = re.sub(r"\[[^]]*\]", "", option.metavar).split("|")
    return tuple(words) if len(words) > 1 and all(re.fullmatch("[a-z-]+", word) for word in words) else ()


def takes_path(option: Option) -> bool:
    """Return whether the value is a path."""
    return option.metavar in _PATHS


def bash() -> str:
    """Return the script for bash."""
    values = [*_bash_values(option for command in _ALL for option in command.options)]
    options = [f"        {_bash_pattern(command)}) options='{_flags(command)}' ;;" for command in COMMANDS]
    return "\n".join(
        [
            _HEADER.format(name="bash"),
            "_hanoverd() {",
            "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} options",
            "    COMPREPLY=()",
            "    case $previous in",
            *values,
            "    esac",
            '    case "${COMP_WORDS[1]} ${COMP_WORDS[2]}" in',
            *options,
            f"        *) options='{_flags(DAEMON)}' ;;",
            "    esac",
            "    if [[ $word == -* ]]; then",
            '        COMPREPLY=($(compgen -W "$options" -- "$word"))',
            "    elif [[ $COMP_CWORD == 1 ]]; then",
            f"        COMPREPLY=($(compgen -W '{' '.join(_first_words())}' -- \"$word\"))",
            "    elif [[ ${COMP_WORDS[1]} == hookbot && $COMP_CWORD == 2 ]]; then",
            f"        COMPREPLY=($(compgen -W '{' '.join(_second_words('hookbot'))}' -- \"$word\"))",
            f"    elif [[ ' {' '.join(_app_commands())} ' == *\" ${{COMP_WORDS[1]}} \"* ]]; then",
            f'        COMPREPLY=($(compgen -W "$({_APPS})" -- "$word"))',
            "    fi",
            "}",
            "complete -o default -F _hanoverd hanoverd",
            "",
        ]
    )


def zsh() -> str:
    """Return the script for zsh."""
    lines = ["#compdef hanoverd", _HEADER.format(name="zsh"), "_hanoverd_apps() {", "    local -a apps"]
    lines += [
        f'    apps=(${{(f)"$({_APPS})"}})',
        "    compadd -a apps",
        "}",
        "",
        "_hanoverd() {",
        "    case $words[2] in",
    ]
    groups: dict[str, list[Command]] = {}
    for command in COMMANDS:
        groups.setdefault(command.name.split()[0], []).append(command)
    for word, commands in groups.items():
        lines.append(f"        {word})")
        lines += _zsh_group(word, commands)
        lines.append("            ;;")
    described = " ".join(_single_quoted(f"{word}:{groups[word][0].summary}") for word in groups)
    lines += ["        *)", f"            local -a commands=({described})"]
    lines += ["            _arguments -S \\", *(f"                {spec} \\" for spec in _zsh_specs(DAEMON))]
    lines += ["                '1: :{_describe -t commands command commands; _files}' '*::argument:_files'"]
    return "\n".join([*lines, "            ;;", "    esac", "}", "", '_hanoverd "$@"', ""])


def fish() -> str:
    """Return the script for fish."""
    words = " ".join(_first_words())
    no_command = f"not __fish_seen_subcommand_from {words}"
    lines = [_HEADER.format(name="fish")]
    for word in _first_words():
        summary = next(command.summary for command in COMMANDS if command.name.split()[0] == word)
        lines.append(f"complete -c hanoverd -n __fish_use_subcommand -a {word} -d {_single_quoted(summary)}")
    for word in _second_words("hookbot"):
        seen = f"__fish_seen_subcommand_from hookbot; and not __fish_seen_subcommand_from {word}"
        lines.append(f"complete -c hanoverd -f -n '{seen}' -a {word}")
    lines += [
        f"complete -c hanoverd -f -n '__fish_seen_subcommand_from {word}' -a {_single_quoted(f'({_APPS})')}"
        for word in _app_commands()
    ]
    for command in _ALL:
        condition = f"__fish_seen_subcommand_from {command.name.split()[-1]}" if command.name else no_command
        lines += [_fish_line(condition, option) for option in (*command.options, *command.more)]
    return "\n".join([*lines, ""])


def _flags(command: Command) -> str:
    return " ".join(f"--{option.name}" for option in (*command.options, *command.more))


def _first_words() -> list[str]:
    return list(dict.fromkeys(command.name.split()[0] for command in COMMANDS))


def _second_words(first: str) -> list[str]:
    return [command.name.split()[1] for command in COMMANDS if command.name.startswith(f"{first} ")]


def _app_commands() -> list[str]:
    return [command.name for command in COMMANDS if "APP" in command.arguments]


def _bash_pattern(command: Command) -> str:
    return f"'{command.name}'" if " " in command.name else f"'{command.name} '*"


def _bash_values(options: Iterable[Option]) -> list[str]:
    lines = []
    for option in {option.name: option for option in options}.values():
        names = f"--{option.name}" + (f"|-{option.letter}" if option.letter and option.kind is not Kind.BOOLEAN else "")
        if choices(option):
            words = " ".join(choices(option))
            lines.append(f"        {names}) COMPREPLY=($(compgen -W '{words}' -- \"$word\")); return ;;")
        elif option.kind is not Kind.BOOLEAN:
            # Nothing, or the names of files, see "complete -o default" below.
            lines.append(f"        {names}) return ;;")
    return lines


def _zsh_group(word: str, commands: list[Command]) -> list[str]:
    if len(commands) > 1:
        seconds = " ".join(_second_words(word))
        lines = [
            f"            if (( CURRENT == 3 )); then compadd {seconds}; return; fi",
            "            case $words[3] in",
        ]
        lines += [
            f"                {command.name.split()[1]}) _arguments -S {' '.join(_zsh_specs(command))} ;;"
            for command in commands
        ]
        return [*lines, "            esac"]
    [command] = commands
    argument = "'1: :_hanoverd_apps'" if command.name in _app_commands() else ""
    specs = " ".join([*_zsh_specs(command), argument]).strip()
    return ["            shift words; (( CURRENT-- ))", f"            _arguments -S {specs}"]


def _zsh_specs(command: Command) -> list[str]:
    return [_zsh_spec(option) for option in (*command.options, *command.more)]


def _zsh_spec(option: Option) -> str:
    text = re.sub(r"[\[\]:]", lambda found: f"\\{found[0]}", option.help)
    value = ""
    if option.kind is not Kind.BOOLEAN:
        action = f"({' '.join(choices(option))})" if choices(option) else "_files" if takes_path(option) else " "
        value = f":{option.metavar.replace(':', chr(92) + ':')}:{action}"
    many = "*" if option.kind is Kind.REPEATED else ""
    specs = [_single_quoted(f"{many}--{option.name}[{text}]{value}")]
    if option.letter:
        specs.append(_single_quoted(f"{many}-{option.letter}[{text}]{value}"))
    return " ".join(specs)


def _fish_line(condition: str, option: Option) -> str:
    parts = [f"complete -c hanoverd -n '{condition}' -l {option.name}"]
    parts += [f"-s {option.letter}"] if option.letter else []
    if choices(option):
        parts.append(f"-x -a '{' '.join(choices(option))}'")
    elif option.kind is not Kind.BOOLEAN:
        parts.append("-r" if takes_path(option) else "-x")
    return " ".join([*parts, f"-d {_single_quoted(option.help)}"])


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}

if __name__ == "__main__":
    sys.stdout.write(SHELLS[sys.argv[1]]())
