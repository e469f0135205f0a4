"""The report as one HTML document that needs nothing else: no network, no script, no second file."""

from collections.abc import Sequence
from pathlib import Path

from seqloom import __version__
from seqloom.app.report.contents import RunContents
from seqloom.app.report.markup import Html, element, literal
from seqloom.app.report.sections import LAST_SECTIONS, SECTIONS, panel_sections

__all__ = ["document", "page"]

_STYLE = Path(__file__).parent.parent / "report.css"

# Forbids what the page does not need anyway, so that no text of a run could make it do more than be read.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(run: RunContents) -> str:
    """The report of a run; sections for which the run has nothing are left out."""
    name = run.path.resolve().name
    title = " ".join(str(run.evaluation[key]) for key in ("system", "method") if run.evaluation.get(key)) or name
    before, after = (
        [(each.anchor, each.title, content) for each in sections if (content := each.make(run))]
        for sections in (SECTIONS, LAST_SECTIONS)
    )
    sections = [*before, *panel_sections(run), *after]
    return document(title, f"{name} · report of a run · seqloom {__version__}", sections)


def document(title: str, eyebrow: str, sections: Sequence[tuple[str, str, Html]]) -> str:
    """A whole page.

    Args:
        title: its heading.
        eyebrow: a line above it.
        sections: of each the end of its address, unique in the page, its title and its content.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{title} - seqloom"),
        element("style", literal(_STYLE.read_text(encoding="utf-8"))),
    )
    header = element(
        "header",
        element("p", eyebrow, class_="eyebrow"),
        element("h1", title),
        element("nav", *(element("a", name, href=f"#{anchor}") for anchor, name, _ in sections)),
    )
    parts = [element("section", element("h2", name), content, id=anchor) for anchor, name, content in sections]
    return f"<!DOCTYPE html>\n{element('html', head, element('body', header, element('main', *parts)), lang='en')}\n"
