"""The page of highlighted spans: escaped, self-contained, legible."""

import colorsys
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqloom.systems.tagger.highlighting import Highlight, chip_colours, page_end, page_start, paragraph

HOSTILE = "</p><script>alert('x')</script>&amp;\"\x00\n"


class Reader(HTMLParser):
    """Collects the tags, and the text outside of the labels."""

    def __init__(self):
        super().__init__()
        self.tags, self.text, self.labels, self.inside = [], "", [], 0

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.inside += tag == "small"
        self.labels += [value for name, value in attributes if name == "data-label"]

    def handle_endtag(self, tag):
        self.inside -= tag == "small"

    def handle_data(self, data):
        self.text += "" if self.inside else data


def read(html):
    reader = Reader()
    reader.feed(html)
    reader.close()
    return reader


def luminance(red, green, blue):
    """Relative luminance of sRGB from 0 to 1 (WCAG 2.1)."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_on_every_chip_has_the_contrast_that_accessibility_asks_for(theme):
    for index in range(360):
        chip, ink = chip_colours(index)[theme]
        hue, full, light = map(int, re.findall(r"\d+", chip))
        shades = [
            luminance(*colorsys.hls_to_rgb(hue / 360, light / 100, full / 100)),
            luminance(*(int(ink[place : place + 2], 16) / 255 for place in (1, 3, 5))),
        ]
        assert (max(shades) + 0.05) / (min(shades) + 0.05) >= 7  # level AAA


def test_neighbouring_labels_have_different_colours():
    hues = [int(re.findall(r"\d+", chip_colours(index)["light"][0])[0]) for index in range(8)]
    assert all(min(abs(a - b), 360 - abs(a - b)) > 20 for a in hues for b in hues if a is not b and a != b)
    assert len(set(hues)) == 8


@given(st.text(max_size=30), st.data())
def test_any_text_is_shown_as_it_is(text, data):
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [Highlight(start, end, "L") for start, end in zip(ends[::2], ends[1::2], strict=False)]
    reader = read(paragraph(text, spans))
    assert set(reader.tags) <= {"p", "mark", "small"}
    assert reader.labels == ["L"] * len(spans)
    shown = "".join(
        chr(0x2400 + ord(c)) if c < " " and c not in "\t\n" else "\u2421" if c == "\x7f" else c for c in text
    )
    assert reader.text == shown.replace("\n", " ").encode("utf-8", "replace").decode()


def test_the_page_has_no_script_asks_the_network_for_nothing_and_explains_its_colours():
    labels = ["PER", HOSTILE]
    page = "\n".join([*page_start(labels), paragraph("a", [Highlight(0, 1, HOSTILE)]), *page_end()])
    reader = read(page)
    assert "script" not in reader.tags
    assert not re.search(r"https?:|src=|href=|url\(|@import", page)
    assert "default-src 'none'" in page
    assert reader.labels[0] == "PER"
    assert len(reader.labels) == 3
    style = page[page.index("<style>") + 7 : page.index("</style>")]
    assert "<" not in style
    assert "prefers-color-scheme: dark" in style
