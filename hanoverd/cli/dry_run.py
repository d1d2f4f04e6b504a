"""What ``--dry-run`` prints: what hanoverd would do, as JSON."""

from __future__ import annotations

import json
from typing import Any

from hanoverd.cli.given import Given
from hanoverd.cli.options.container import CONTAINER
from hanoverd.cli.options.option import Kind, Option
from hanoverd.cli.secrets import masked
from hanoverd.network.iptables import parse_table
from hanoverd.network.route import Route
from hanoverd.network.rules import plan_routes
from hanoverd.spec.app import AppSpec
from hanoverd.spec.build import MISSING
from hanoverd.spec.container import Image, Recipe, create_body
from hanoverd.spec.image_name import ImageName
from hanoverd.spec.names import version_name
from hanoverd.spec.ports import Family, PortRequest
from hanoverd.spec.source_name import IMAGE
from hanoverd.text.booleans import parse_boolean

#: What stands for what only a handover knows.
_CONTAINER_ADDRESS, _CONTAINER_NETWORK = "CONTAINER-ADDRESS", "CONTAINER-NETWORK"
_ANY_PORT = 0

#: Options that ask for something else than a setting.
_NO_SETTINGS = frozenset({"help", "version", "dry-run"})


def dry_run(given: Given, spec: AppSpec) -> str:
    """Return the JSON document for the specification and the options that it was made of."""
    name = version_name(spec.name, 0)
    document = {
        "create": _create_request(spec, name),
        "name": name,
        "platform": spec.container.platform,
        "pull": spec.source.pull or MISSING,
        "source": {"kind": spec.source.name.scheme, "name": spec.source.name.text},
        "firewall": _firewall(spec, name),
        "settings": {**_settings(given), "name": spec.name},
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _create_request(spec: AppSpec, name: str) -> dict[str, object]:
    source = spec.source.name
    is_image = source.scheme == IMAGE
    image_name = ImageName.parse(source.text if is_image else f"hanoverd/{spec.name.lower()}")
    # The engine's ID of the image is not known before it is obtained.
    image = Image(source.text if is_image else image_name.reference, image_name, ())
    return create_body(spec.name, 0, name, Recipe(image, spec.container))


def _firewall(spec: AppSpec, name: str) -> str:
    if not spec.ports:
        return ""
    routes = [
        Route(port, _CONTAINER_ADDRESS, None, _CONTAINER_NETWORK)
        for request in spec.ports
        for port in request.published_at(_host_port(request))
        if port.host.family is Family.IPV4
    ]
    return plan_routes(spec.name, name, routes, parse_table(""))


def _host_port(request: PortRequest) -> int:
    return request.numbers[0] if request.numbers else _ANY_PORT


def _settings(given: Given) -> dict[str, Any]:
    own = [option for option in given.options if _is_own(option) and option.name not in _NO_SETTINGS]
    return {option.name: _setting(given, option) for option in own}


def _is_own(option: Option) -> bool:
    """Whether an option is for hanoverd itself, and not for the container's request."""
    return option not in CONTAINER or (bool(option.place) and not option.place.startswith("container."))


def _setting(given: Given, option: Option) -> Any:
    texts = [masked(option, text) for text in given.texts(option.name)]
    if option.kind is Kind.REPEATED:
        return texts
    if option.kind is Kind.BOOLEAN:
        return parse_boolean(texts[-1]) if texts else False
    return texts[-1] if texts else option.default
