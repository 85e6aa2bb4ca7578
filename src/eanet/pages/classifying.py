"""The page that classifies photographs, whatever computes the answers: a server, or the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from eanet.pages.page import asset, digest, templates


class Page(NamedTuple):
    """A page, and the content security policy that it needs."""

    text: str
    policy: str


def default_threshold(classes: int) -> float:
    """Return the probability below which an answer counts as not sure, for a number of classes.

    It is halfway between guessing and certainty: 0.75 for two classes, 0.505 for 100.
    """
    return (1 + 1 / classes) / 2


def classifying_page(
    package: str,
    scripts: Sequence[str],
    *,
    title: str,
    classes: Sequence[str],
    threshold: float,
    detects_unknown: bool,
    privacy: str,
    data: Mapping[str, Any],
    policy: Mapping[str, str],
) -> Page:
    """Make the page.

    Args:
        package: its folder ``templates`` has the scripts.
        scripts: names of scripts that define ``backend``: see ``classifying.js``.
        title: of the page.
        classes: names of the classes.
        threshold: probability from which an answer counts as sure.
        detects_unknown: whether answers have a distance from the images of the training.
        privacy: one sentence: where the photographs go.
        data: what the scripts need, as JSON.
        policy: what the scripts may load, by directive; ``script-src`` is added to.
    """
    code = Markup("\n").join((*(asset(name, package) for name in scripts), asset("classifying.js")))
    style = Markup("\n".join((asset("page.css"), asset("classifying.css"))))
    directives = {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "img-src": "blob:",
        "style-src": f"'{digest(style)}'",
        **policy,
        "script-src": f"'{digest(code)}' {policy.get('script-src', '')}".rstrip(),
    }
    rules = "; ".join(f"{name} {value}" for name, value in directives.items())
    text = (
        templates("eanet.pages")
        .get_template("classifying.html")
        .render(
            title=title,
            classes=classes,
            threshold=threshold,
            detects_unknown=detects_unknown,
            privacy=privacy,
            data={"threshold": threshold, **data},
            policy=rules,
            style=style,
            code=code,
        )
    )
    return Page(text, rules)
