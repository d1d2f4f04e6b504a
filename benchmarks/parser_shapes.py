"""The parsers of what strangers write, each with hostile inputs of any size."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass

from hanoverd.docker.abort import Abort
from hanoverd.docker.dockerfile import buildkit_only
from hanoverd.docker.dockerignore import Ignored
from hanoverd.hookbot.protocol import read_message
from hanoverd.hookbot.tokens import is_valid_token
from hanoverd.images.archive_stream import Contents, Wanted, repacked
from hanoverd.network.conntrack import count_open
from hanoverd.network.iptables import parse_table
from hanoverd.network.rules import claims, find_problem, plan_removal, plan_routes
from hanoverd.runtime.errors import ObtainFailed
from hanoverd.spec.git_location import parse_git
from hanoverd.spec.git_submodules import parse_gitmodules, submodule_location
from hanoverd.spec.hookbot import HookbotURL, Subscription
from hanoverd.spec.image_name import ImageName, tag_from
from hanoverd.spec.lineage import Lineage
from hanoverd.spec.mounts import parse_mount
from hanoverd.spec.ports import check_conflicts, parse_publish
from hanoverd.spec.source_name import parse_source
from hanoverd.spec.volumes import parse_volume
from hanoverd.text.escapes import escaped
from hanoverd.text.lines import LineCutter


@dataclass(frozen=True)
class Shape:
    """A hostile shape of an input: ``make`` returns one of a size, and ``parse`` reads it, or refuses it with an error."""

    parser: str
    name: str
    make: Callable[[int], str]
    parse: Callable[[str], object]


def _dockerignore(text: str) -> object:
    path, _, patterns = text.partition("\n")
    return Ignored.read(patterns, needed=["Dockerfile"]).verdict(path)


def _table(text: str) -> object:
    table = parse_table(text)
    return (
        claims(table),
        find_problem("web", "web-1", [], table),
        plan_routes("web", "web-1", [], table),
        plan_removal("web", table),
    )


def _archive(text: str) -> object:
    contents = Contents()
    return sum(
        len(piece) for piece in repacked(io.BytesIO(text.encode("latin-1")), Wanted("x", "web"), contents, Abort())
    )


def _tar(*members: tuple[str, bytes]) -> str:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue().decode("latin-1")


def _zipped(text: str) -> str:
    return gzip.compress(text.encode("latin-1"), mtime=0).decode("latin-1")


def _git(text: str) -> object:
    return parse_git(text, "https")


def _submodules(text: str) -> object:
    parent = parse_git("https://h/me/app", "https")
    return [submodule_location(parent, url) for url in parse_gitmodules(text).values()]


def _mount(text: str) -> object:
    return parse_mount(text, "/srv")


def _message(text: str) -> object:
    subscription = Subscription.of(HookbotURL.parse("ws://h/sub/github.com/repo/me/app/branch/"))
    return read_message(subscription, text.encode())


def _labels(text: str) -> object:
    return Lineage.of_labels({"hanoverd.origin": text, "hanoverd.predecessors": text}, 1)


def _cut(text: str) -> object:
    cutter, data = LineCutter(), text.encode()
    # In small pieces, as from a pipe.
    return [cutter.take(data[start : start + 512]) for start in range(0, len(data), 512)]


def _source(text: str) -> object:
    return parse_source(text, lambda: ("docker-archive",)).default_app


def _published(text: str) -> object:
    requests = parse_publish(text)
    check_conflicts(requests)
    return [str(request) for request in requests]


SHAPES = (
    Shape("dockerignore", "stars", lambda n: f"{'a' * 200}b\n{'*a' * (n // 2)}\n", _dockerignore),
    Shape("dockerignore", "folders of any depth", lambda n: f"{'d/' * 100}\n{'**/' * (n // 3)}x\n", _dockerignore),
    Shape("dockerignore", "long path", lambda n: f"{'a/' * (n // 2)}b\n**/*a*/**/*a*\n*a*a*\n", _dockerignore),
    Shape("dockerignore", "many patterns", lambda n: "a/b/c\n" + "".join(f"!*{k}*\n**/{k}\n" for k in range(n // 12)), _dockerignore),
    Shape("dockerignore", "character class", lambda n: f"a\n[{'a-z' * (n // 3)}]\n[{'[' * 1000}\n", _dockerignore),
    Shape("dockerfile", "continued lines", lambda n: "FROM a\nRUN " + "\\\n" * (n // 2), buildkit_only),
    Shape("dockerfile", "flags", lambda n: "RUN " + "--x " * (n // 4), buildkit_only),
    Shape("dockerfile", "here documents", lambda n: "RUN " + "<<" * (n // 2), buildkit_only),
    Shape("dockerfile", "here document's name", lambda n: "RUN <<'" + "a" * n, buildkit_only),
    Shape("dockerfile", "directives", lambda n: "# escape=`\n" * (n // 11), buildkit_only),
    Shape("dockerfile", "spaces", lambda n: "# syntax" + " " * n + "x", buildkit_only),
    Shape("image", "separators", lambda n: "a" + "_-." * (n // 3) + "!", ImageName.parse),
    Shape("image", "dashes", lambda n: "a" + "-" * n + "!", ImageName.parse),
    Shape("image", "host", lambda n: "a-." * (n // 3) + "/x", ImageName.parse),
    Shape("image", "parts", lambda n: "a/" * (n // 2) + "A", ImageName.parse),
    Shape("image", "digest", lambda n: "a@b" + "+c" * (n // 2), ImageName.parse),
    Shape("image", "tag", lambda n: "!" * n + "a", tag_from),
    Shape("source", "URL", lambda n: "https://" + "//@" * (n // 3), _source),
    Shape("source", "user", lambda n: "a." * (n // 2) + "@h", _source),
    Shape("source", "archive", lambda n: "docker-archive:" + "/?#@" * (n // 4), _source),
    Shape("git", "slashes", lambda n: "https://" + "/" * n, _git),
    Shape("git", "fragments", lambda n: "https://h/a/b" + "#" * n, _git),
    Shape("git", "colons", lambda n: "a@b:" + ":" * n, _git),
    Shape("git", "parts", lambda n: "h" + "/a" * (n // 2) + "/-", _git),
    Shape("git", "users", lambda n: "https://" + "@" * n, _git),
    Shape("git", "branch", lambda n: "h/a/b#" + "a/." * (n // 3) + ":" + "../" * (n // 3), _git),
    Shape("git", "steps up of a submodule", lambda n: f"submodule.a.path\np\0submodule.a.url\n{'../' * (n // 3)}x", _submodules),
    Shape("git", "URL of a submodule", lambda n: f"submodule.a.path\np\0submodule.a.url\nhttps://{'//' * (n // 2)}", _submodules),
    Shape("git", "names of submodules", lambda n: "submodule.path" * (n // 14) + "\0", _submodules),
    Shape("publish", "range", lambda n: f"1-{min(n, 65535)}:1-{min(n, 65535)}", _published),
    Shape("publish", "fields", lambda n: "a=b," * (n // 4), parse_publish),
    Shape("publish", "colons", lambda n: ":" * n, parse_publish),
    Shape("publish", "digits", lambda n: "9" * n + ":80", parse_publish),
    Shape("mount", "quotes", lambda n: 'type=bind,"' + '""' * (n // 2), _mount),
    Shape("mount", "fields", lambda n: "volume-opt=a=b," * (n // 15) + "target=/x", _mount),
    Shape("mount", "empty lines", lambda n: "\n" * n, _mount),
    Shape("mount", "volume", lambda n: "/a:" * (n // 3), lambda text: parse_volume(text, "/srv")),
    Shape("mount", "modes", lambda n: "/a:/b:" + "ro," * (n // 3), lambda text: parse_volume(text, "/srv")),
    Shape("archive", "members", lambda n: _tar(*((f"{k}", b"") for k in range(n // 512))), _archive),
    Shape("archive", "JSON files", lambda n: _tar(*((f"{k}.json", b"{}") for k in range(n // 1024))), _archive),
    Shape("archive", "long names", lambda n: _tar(*((f"{k}" + "a/" * 120, b"") for k in range(n // 1536))), _archive),
    Shape("archive", "content", lambda n: _zipped(_tar(("a", bytes(n)))), _archive),
    Shape("archive", "indexes", lambda n: _tar(("index.json", json.dumps({"manifests": [{}] * (n // 4)}).encode())), _archive),
    Shape("archive", "brackets", lambda n: _tar(("manifest.json", b"[" * n)), _archive),
    Shape("webhook", "branch", lambda n: '{"Repo":"me/app","Branch":"' + "a/" * (n // 2) + '","SHA":"1"}', _message),
    Shape("webhook", "topic", lambda n: "github.com/repo/me/app/branch/" + "a" * n, _message),
    Shape("webhook", "person", lambda n: "github.com/repo/me/app/branch/\0" + json.dumps({"Repo": "me/app", "Branch": "x", "SHA": "1" * 40, "Who": "\x1b" * (n // 6)}), _message),
    Shape("webhook", "brackets", lambda n: "github.com/repo/me/app/branch/\0" + "[" * n, _message),
    Shape("hookbot path", "slashes", lambda n: "/sub/" + "/" * n, lambda text: is_valid_token("key", text, "0")),
    Shape("hookbot path", "escapes", lambda n: "ws://h/sub/" + "%2" * (n // 2), HookbotURL.parse),
    Shape("hookbot path", "topic", lambda n: "ws://h/sub/docker-pull/" + "/tag/" * (n // 5), lambda text: Subscription.of(HookbotURL.parse(text))),
    Shape("hookbot path", "repository", lambda n: "ws://h/sub/" + "/repo/branch" * (n // 12), lambda text: Subscription.of(HookbotURL.parse(text))),
    Shape("labels", "predecessors", lambda n: "1 " * (n // 2), _labels),
    Shape("labels", "digits", lambda n: "9" * n, _labels),
    Shape("iptables-save", "rules", lambda n: "*nat\n" + "-A X -j Y\n" * (n // 10), _table),
    Shape("iptables-save", "jumps", lambda n: "*nat\n:HANOVERD-web-IN - [0:0]\n" + "-A PREROUTING -j HANOVERD-web-IN\n" * (n // 33), _table),
    Shape("iptables-save", "values", lambda n: "*nat\n-A PREROUTING -j" + " x" * (n // 2) + "\n", _table),
    Shape("iptables-save", "options", lambda n: "*nat\n-A PREROUTING" + " ! -x" * (n // 5) + "\n", _table),
    Shape("iptables-save", "open quote", lambda n: "*nat\n-A PREROUTING " + '"\\' * (n // 2) + "\n", _table),
    Shape("iptables-save", "open quotes", lambda n: "*nat\n-A PREROUTING " + 'a"a ' * (n // 4) + "\n", _table),
    Shape("iptables-save", "chains", lambda n: "*nat\n" + "".join(f":{k} - [0:0]\n" for k in range(n // 14)), _table),
    Shape("conntrack", "connections", lambda n: "tcp 6 4 ESTABLISHED src=a dst=b sport=1 dport=2 src=c dst=d\n" * (n // 60), count_open),
    Shape("conntrack", "one long line", lambda n: " ESTABLISHED src=a" * (n // 18), count_open),
    Shape("conntrack", "sources", lambda n: " ESTABLISHED src=a" + " src" * (n // 4), count_open),
    Shape("output", "no line ends", lambda n: "x" * n, _cut),
    Shape("output", "line ends", lambda n: "\n" * n, _cut),
    Shape("output", "control characters", lambda n: "\x1b\r\u2028" * (n // 3), escaped),
)  # fmt: skip

#: How a parser refuses an input.
REFUSALS = (ValueError, ObtainFailed)
