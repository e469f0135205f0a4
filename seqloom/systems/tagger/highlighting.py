"""A page of text with coloured spans, for ``seqloom predict --format html``: one file, no scripts, nothing from the network.

The colours are spread around the circle of hues, pale in light and deep in dark themes; each span also carries its
label, so that colour never carries meaning alone.
"""

import html
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Highlight", "chip_colours", "page_end", "page_start", "paragraph"]

# Saturation and lightness of a chip and of the text on it, in light and in dark themes.
_CHIP = {"light": (70, 86), "dark": (45, 20)}
_INK = {"light": "#1d2426", "dark": "#eef2f1"}
_PAPER = {"light": "#fdfdfc", "dark": "#14191a"}
_GOLDEN_ANGLE = 137.508  # neighbours in the list of labels get hues far apart, however many labels there are

# Control characters have no place in HTML, and none of them can be seen: their pictures stand for them.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421}

_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 60rem; padding: 1.5rem; font: 1rem/2 system-ui, "Noto Sans", "Noto Sans CJK SC", sans-serif;
  background: var(--paper); color: var(--ink); }
p { margin: 0 0 .6rem; white-space: pre-wrap; overflow-wrap: anywhere; }
mark { padding: .15em .3em; border-radius: .3em; color: inherit; background: var(--chip); }
small { margin-left: .35em; font-size: .65em; font-weight: 600; letter-spacing: .03em; }
.legend { border-bottom: 1px solid; padding-bottom: .6rem; }
.legend mark { display: inline-block; margin: 0 .5em .3em 0; line-height: 1.3; }
small { white-space: nowrap; }
b { margin-right: .6em; font-size: .8em; }
"""


class Highlight(NamedTuple):
    """Characters ``start`` to ``end - 1`` of a text carry ``label``."""

    start: int
    end: int
    label: str


def chip_colours(index: int) -> dict[str, tuple[str, str]]:
    """Background and ink of the chips of a label, as CSS colours, in the ``light`` and the ``dark`` theme."""
    hue = index * _GOLDEN_ANGLE % 360
    return {theme: (f"hsl({hue:.0f} {full}% {light}%)", _INK[theme]) for theme, (full, light) in _CHIP.items()}


def page_start(labels: Sequence[str]) -> Iterator[str]:
    """The lines of a page before its text: the head, and a legend of the labels."""
    yield "<!DOCTYPE html>"
    yield "<html><head>"
    yield '<meta charset="utf-8">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield "<title>Tagged text - seqloom</title>"
    yield f"<style>{_STYLE}{_theme('light', labels)}"
    yield f"@media (prefers-color-scheme: dark) {{\n{_theme('dark', labels)}}}</style>"
    yield "</head><body>"
    if any(labels):
        yield f'<p class="legend">{"".join(_mark(label) for label in labels)}</p>'


def paragraph(text: str, highlights: Sequence[Highlight], heading: str | None = None) -> str:
    """One text with its spans, which do not overlap, in one line of HTML, after its heading.

    >>> paragraph("a < b", [Highlight(4, 5, "X")])
    '<p>a &lt; <mark data-label="X">b<small>X</small></mark></p>'
    """
    parts, at = [], 0
    for start, end, label in sorted(highlights):
        parts += [_escaped(text[at:start]), _mark(label, text[start:end])]
        at = end
    before = "" if heading is None else f"<b>{_escaped(heading)}</b>"
    return f"<p>{before}{''.join(parts)}{_escaped(text[at:])}</p>"


def page_end() -> Iterator[str]:
    """The lines of a page after its text."""
    yield "</body></html>"


def _mark(label: str, text: str | None = None) -> str:
    inside = (
        _escaped(label) if text is None else f"{_escaped(text)}{f'<small>{_escaped(label)}</small>' if label else ''}"
    )
    return f'<mark data-label="{_escaped(label)}">{inside}</mark>'


def _theme(theme: str, labels: Sequence[str]) -> str:
    rules = [f":root {{ --paper: {_PAPER[theme]}; --ink: {_INK[theme]}; }}"]
    for index, label in enumerate(labels):
        # In a string of CSS, escapes by number are safe for every character.
        name = "".join(
            character if character.isascii() and character.isalnum() else f"\\{ord(character):x} "
            for character in label
        )
        rules.append(f'mark[data-label="{name}"] {{ --chip: {chip_colours(index)[theme][0]}; }}')
    return "\n".join(rules) + "\n"


def _escaped(text: str) -> str:
    # Half of a surrogate pair cannot be written as UTF-8.
    shown = text.translate(_PICTURES).encode("utf-8", "replace").decode("utf-8")
    return html.escape(shown).replace("\n", " ")
