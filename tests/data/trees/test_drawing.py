import xml.etree.ElementTree as ElementTree

import numpy as np

from seqloom.data.trees import Tree, parse_brackets, right_branching
from seqloom.data.trees.drawing import COLOURS, draw_svg, draw_text


def tree(text="(3 (2 Not) (4 (2 so) (1 <bad>)))"):
    return next(parse_brackets([(1, text)], "x"))


def test_a_drawing_in_characters_has_a_line_for_each_node():
    lines = draw_text(tree(), ["a", "b", "c", "d", "e"]).splitlines()
    assert lines == ["e", "├─ a Not", "└─ d", "   ├─ b so", "   └─ c <bad>"]
    coloured = draw_text(tree(), scores=[0.0, 0.5, 1.0, float("nan"), 0.9])
    assert "\x1b[38;5;160m2\x1b[0m Not" in coloured


def test_words_cannot_steer_a_terminal_nor_break_a_picture():
    hostile = Tree(np.array([1, -1]), ("\x1b[31mx\u202e", ""), ("&", "<a>"))
    assert "\x1b" not in draw_text(hostile)
    assert "\u202e" not in draw_text(hostile)
    ElementTree.fromstring(draw_svg(hostile))


def test_a_picture_has_every_node_in_the_colour_of_its_score():
    scores = [0.0, 0.3, 0.5, 0.7, 1.0]
    picture = ElementTree.fromstring(draw_svg(tree(), scores=scores))
    name = "{http://www.w3.org/2000/svg}"
    circles = picture.findall(f"{name}circle")
    assert [circle.get("fill") for circle in circles] == list(COLOURS)
    assert len(picture.findall(f"{name}line")) == 4
    words = [text.text for text in picture.findall(f"{name}text") if text.get("class") == "w"]
    assert words == ["Not", "so", "<bad>"]
    places = [float(text.get("x")) for text in picture.findall(f"{name}text") if text.get("class") == "w"]
    assert places == sorted(places)


def test_what_is_too_large_is_not_drawn():
    large = right_branching(["w"] * 5000)
    assert "more than 2,000 are not drawn" in draw_text(large)
    ElementTree.fromstring(draw_svg(large))
