"""Pages from templates: HTML files that need nothing but themselves."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from archdsl.report.texts import moment, percent
from archdsl.version import __version__


@cache
def _environment() -> Environment:
    loader = PackageLoader("archdsl.report", "templates")
    options: dict[str, Any] = {"autoescape": True, "trim_blocks": True, "lstrip_blocks": True}
    found = Environment(loader=loader, undefined=StrictUndefined, **options)
    found.globals |= {"percent": percent, "moment": moment, "version": __version__}
    return found


def render(template: str, context: Mapping[str, Any]) -> str:
    """The text of a page. Its policy lets a browser run its own script only, and load nothing."""
    environment = _environment()
    script = environment.get_template("script.js").render()
    digest = b64encode(sha256(script.encode()).digest()).decode()
    facts = {"script": script, "script_hash": f"sha256-{digest}", "now": datetime.now().astimezone()}
    return environment.get_template(template).render(facts | dict(context))
