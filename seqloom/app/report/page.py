"""The report as one HTML document that needs nothing else: no network, no script, no second file."""

from pathlib import Path

from seqloom import __version__
from seqloom.app.report.contents import RunContents
from seqloom.app.report.markup import element, literal
from seqloom.app.report.sections import SECTIONS

__all__ = ["page"]

_STYLE = Path(__file__).parent.parent / "report.css"

# Forbids what the page does not need anyway, so that no text of a run could make it do more than be read.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(run: RunContents) -> str:
    """The report of a run; sections for which the run has nothing are left out."""
    name = run.path.resolve().name
    title = " ".join(str(run.evaluation[key]) for key in ("system", "method") if run.evaluation.get(key)) or name
    found = [(section, content) for section in SECTIONS if (content := section.make(run))]
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
        element("p", f"{name} · report of a run · seqloom {__version__}", class_="eyebrow"),
        element("h1", title),
        element("nav", *(element("a", section.title, href=f"#{section.anchor}") for section, _ in found)),
    )
    sections = [
        element("section", element("h2", section.title), content, id=section.anchor) for section, content in found
    ]
    return f"<!DOCTYPE html>\n{element('html', head, element('body', header, element('main', *sections)), lang='en')}\n"
