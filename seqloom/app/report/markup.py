"""HTML that cannot be injected into: every text is escaped unless it was made by these functions."""

import html
from collections.abc import Iterable

__all__ = ["Html", "element", "join", "literal", "text"]

# Control characters have no place in HTML, and none of them can be seen: their pictures stand for them.
_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
_VOID = {"meta", "br", "hr"}


class Html(str):
    """A piece of markup, as opposed to a text that only might look like it."""

    __slots__ = ()


def text(value: str) -> Html:
    """A text as markup that shows exactly this text.

    >>> text("<b> & 'c'"), text(text("<b>"))
    ('&lt;b&gt; &amp; &#x27;c&#x27;', '&lt;b&gt;')
    """
    return value if isinstance(value, Html) else Html(html.escape(value.translate(_PICTURES)))


def literal(value: str) -> Html:
    """Markup that the caller vouches for."""
    return Html(value)


def join(parts: Iterable[str]) -> Html:
    """Pieces one after the other."""
    return Html("".join(map(text, parts)))


def element(tag: str, *children: str, **attributes: str | float | bool | None) -> Html:
    """An element; strings among the children and all attributes are escaped.

    Args:
        attributes: a trailing underscore is dropped (``class_``), others become dashes; None and False leave one out.

    >>> element("p", "1 < 2", element("br"), class_="a", title='"', hidden=True, id=None)
    '<p class="a" title="&quot;" hidden>1 &lt; 2<br></p>'
    """
    named = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    shown = "".join(
        f" {name}" if value is True else f' {name}="{text(str(value))}"'
        for name, value in named.items()
        if value is not None and value is not False
    )
    return Html(f"<{tag}{shown}>" if tag in _VOID else f"<{tag}{shown}>{join(children)}</{tag}>")
