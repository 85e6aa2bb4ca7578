"""The pages of a server: one for people with photographs, one for programmers."""

from __future__ import annotations

from markupsafe import Markup

from eanet.deploy.server.schema import Card
from eanet.pages.classifying import Page, classifying_page
from eanet.pages.page import digest, templates

# Swagger UI is loaded from npm's mirror in exactly this version; nothing else runs.
_SWAGGER = "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5.35.0"
_SWAGGER_SCRIPT = "sha384-gjRm0bEPMeTmMh5jT2cHccIwCUZSTd8YC+j0d0sXw0MdGEfScduGpSyF3ZSSLkX9"
_SWAGGER_STYLE = "sha384-WlYgdmXYOOBWL5apwjDEZwN+U3HmXSSu5R6V5aGxEcf7z+KuRNwBhoxKVN1i3D5I"
_SHOW = Markup('SwaggerUIBundle({ url: "openapi.json", dom_id: "#documentation" });')


def front_page(card: Card, *, explains: bool) -> Page:
    """Make the page on which photographs are classified."""
    page = classifying_page(
        __package__,
        ("server.js",),
        title=f"Classify photographs with {card.name}",
        classes=card.classes,
        threshold=card.threshold,
        detects_unknown=card.detects_unknown,
        privacy="Photographs go to the server that sent this page, are answered, and are not kept.",
        data={
            "explains": explains,
            "files": card.limits.max_files,
            "bytes": card.limits.request_bytes,
            "megabytes": card.limits.max_megabytes,
        },
        policy={"connect-src": "'self'"},
    )
    return Page(page.text, f"{page.policy}; frame-ancestors 'none'")


def documentation_page(title: str) -> Page:
    """Make the page that describes the interface."""
    text = (
        templates(__package__)
        .get_template("documentation.html")
        .render(
            title=title,
            source=_SWAGGER,
            script_hash=_SWAGGER_SCRIPT,
            style_hash=_SWAGGER_STYLE,
            code=_SHOW,
        )
    )
    policy = (
        "default-src 'none'; base-uri 'none'; connect-src 'self'; img-src data:; "
        f"script-src '{digest(_SHOW)}' {_SWAGGER}/; style-src 'unsafe-inline' {_SWAGGER}/; "
        "frame-ancestors 'none'"
    )
    return Page(text, policy)
