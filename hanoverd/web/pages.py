"""The pages as HTML, made from the templates beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hanoverd.text.escapes import escaped
from hanoverd.web.assets import assets
from hanoverd.web.handovers import history_of
from hanoverd.web.query import AppQuery
from hanoverd.web.state import AppState, HostState
from hanoverd.web.timeline import WIDTH
from hanoverd.web.views import app_of, host_of

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Chrome:
    """What is around the content of a page.

    ``csrf`` is the token that its forms send back.  ``actions``: whether they are shown.  ``can_log_out``: whether a login is
    required.  ``now`` is a Unix time.  ``message`` is shown once, as an error if ``is_error``.  ``host`` is the name of the machine.
    """

    csrf: str
    actions: bool
    can_log_out: bool
    now: float
    message: str = ""
    is_error: bool = False
    host: str = ""


class Pages:
    """Makes the pages.  All texts are escaped: for HTML, and their control characters as in the log."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=_visible,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._templates.globals.update(assets=assets(), bar_width=WIDTH)
        # All of them now: an upgrade may replace the files while this process runs.
        for name in self._templates.list_templates():
            self._templates.get_template(name)

    def index(self, host: HostState, chrome: Chrome) -> str:
        """Return the page of all apps."""
        return self._page("index.html", chrome, host=host_of(host, chrome.now))

    def app(self, state: AppState, chrome: Chrome, query: AppQuery | None = None) -> str:
        """Return the page of an app; ``query`` chooses from its handovers."""
        history = history_of(state.handovers, query or AppQuery(), chrome.now)
        return self._page("app.html", chrome, app=app_of(state, chrome.now), history=history, log=state.log)

    def login(self, chrome: Chrome, problem: str) -> str:
        """Return the page that asks for the token; ``problem`` says why the last one was refused, "" at first."""
        return self._page("login.html", chrome, problem=problem)

    def error(self, status: int, text: str, chrome: Chrome) -> str:
        """Return a page that says what is wrong."""
        return self._page("error.html", chrome, status=status, text=text)

    def _page(self, template: str, chrome: Chrome, **values: Any) -> str:
        return self._templates.get_template(template).render(chrome=chrome, **values)


def _visible(value: Any) -> Any:
    """Escape control characters, except in what the templates themselves have made."""
    return escaped(value) if isinstance(value, str) and not isinstance(value, Markup) else value
