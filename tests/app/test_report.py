"""The report is read back with a parser of HTML that knows nothing of how it was written."""

import json
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.app import report
from seqloom.app.report import write_report
from seqloom.app.report.chips import compared, spans, words_chips
from seqloom.app.report.curves import find_curves
from seqloom.app.report.markup import element, text
from seqloom.errors import ModelError, SeqloomError
from seqloom.systems.evaluation import Column, Confusion, Evaluation, Figure, Metric, Readings, Table, Text

VOID = {"meta", "br", "hr"}
HOSTILE = "</style><script>alert('1')</script><img src=x onerror=\"a()\">&amp;$\\frac{1}{0}$\u202e"


class Document(HTMLParser):
    """Elements with their attributes, visible text per element, and a complaint for every tag that is not closed."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.elements = [], []
        self.feed(source)
        self.close()
        assert not self.open, f"not closed: {[entry['tag'] for entry in self.open]}"

    def handle_starttag(self, tag, attributes):
        entry = {"tag": tag, "attributes": dict(attributes), "text": ""}
        self.elements.append(entry)
        if tag not in VOID:
            self.open.append(entry)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data):
        for entry in self.open:
            entry["text"] += data

    def all(self, tag=None, class_=None):
        return [
            entry
            for entry in self.elements
            if (tag is None or entry["tag"] == tag)
            and (class_ is None or class_ in (entry["attributes"].get("class") or "").split())
        ]

    def section(self, anchor):
        return next((e["text"] for e in self.all("section") if e["attributes"]["id"] == anchor), None)


def step(number, **more):
    record = {"event": "step", "epoch": number / 100, "step": number, "loss": 2.0 / number, "learning_rate": 0.1}
    return {**record, "gradient_norm": 1.5, **more}


def evaluation(number, f1, **more):
    return {"event": "evaluation", "epoch": number / 100, "step": number, "loss": 1.0, "metric/f1": f1, **more}


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    (folder / "model").mkdir(parents=True)
    records = [step(50), step(100), evaluation(100, 0.8, best=True), step(150), evaluation(200, 0.7, best=False)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "config.yaml").write_text("system: segmenter\nmethod: blstm-crf\n")
    (folder / "model" / "config.yaml").write_text("about:\n  command: seqloom train words --out run\n")
    scores = {
        "system": "segmenter",
        "method": "blstm-crf",
        "seed": 7,
        "data": {"test": {"file": "pku.txt", "sha256": "ab12"}},
        "versions": {"torch": "2.6"},
        "metrics": {"precision": 0.96, "recall": 0.94, "f1": 0.9499, "oov_recall": None, "characters_per_second": 4e4},
        "baselines": [{"method": "fmm", "f1": 0.86, "precision": 0.8, "recall": 0.9, "characters_per_second": 8e5}],
        "by_class": [{"class": "B", "precision": 0.9, "recall": 0.8, "f1": 0.85, "support": 1234}],
        "confusion": {"labels": ["B", "S"], "counts": [[90, 10], [0, 0]]},
        "by_length": [
            {"from": 1, "to": 10, "sentences": 5, "f1": 0.9},
            {"from": 11, "to": None, "sentences": 2, "f1": 0.8},
        ],
        "worst": [
            {
                "line": 12,
                "text": "李国庆节日",
                "gold": ["李国庆", "节日"],
                "predicted": ["李", "国庆节", "日"],
                "errors": 5,
            }
        ],
        "examples": [
            {
                "text": "乒乓球拍卖",
                "gold": None,
                "predicted": ["乒乓球", "拍卖"],
                "n_best": [
                    {"words": ["乒乓球", "拍卖"], "score": -1.5},
                    {"words": ["乒乓", "球拍", "卖"], "score": -2.5},
                ],
            }
        ],
    }
    (folder / "evaluation.json").write_text(json.dumps(scores))
    return folder


def read(path):
    return Document(path.read_text(encoding="utf-8"))


def changed(run, **parts):
    file = run / "evaluation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | parts))


def test_every_part_of_a_run_is_in_its_report(run):
    document = read(write_report(run))
    section = document.section
    assert "0.9499" in section("scores")
    assert "40,000" in section("scores")
    assert "blstm-crf (this run)" in section("methods")
    assert "800,000" in section("methods")
    assert len(document.all("figure")) == 4
    assert "1,234" in section("by_class")
    assert "90" in section("confusion")
    assert "11 and more" in section("by_length")
    assert "line 12" in section("worst")
    assert "-2.5000" in section("examples")
    assert "seqloom train words --out run" in section("use")
    assert f"seqloom predict {run / 'model'} FILE" in section("use")
    assert "ab12" in section("use")
    assert "method: blstm-crf" in section("configuration")


def test_the_report_is_one_file_without_scripts_and_without_addresses(run):
    source = write_report(run).read_text(encoding="utf-8")
    document = Document(source)
    assert not {entry["tag"] for entry in document.elements} & {"script", "link", "img", "image", "iframe", "object"}
    assert "://" not in source
    assert "@import" not in source
    assert "url(" not in source.replace("url(#", "")
    names = {name for entry in document.elements for name in entry["attributes"]}
    assert not any(name.startswith("on") for name in names)


def test_ids_are_unique_and_every_link_leads_somewhere(run):
    document = read(write_report(run))
    ids = [entry["attributes"]["id"] for entry in document.elements if "id" in entry["attributes"]]
    assert len(ids) == len(set(ids))
    links = [entry["attributes"]["href"] for entry in document.elements if "href" in entry["attributes"]]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_the_same_run_gives_the_same_bytes(run):
    assert write_report(run).read_bytes() == write_report(run, run / "again.html").read_bytes()


def hostile(value):
    if isinstance(value, dict):
        return {name: hostile(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [hostile(entry) for entry in value]
    return HOSTILE if isinstance(value, str) else value


def test_hostile_text_is_only_ever_shown(run):
    calm = read(write_report(run))
    file = run / "evaluation.json"
    scores = hostile(json.loads(file.read_text()))
    for part in ("metrics", "data", "versions"):
        scores[part][HOSTILE] = 0.5
    scores["by_class"].append({"class": HOSTILE, "f1": HOSTILE, "support": [HOSTILE]})
    scores["worst"].append({"line": HOSTILE, "text": HOSTILE, "gold": HOSTILE, "predicted": None, "errors": HOSTILE})
    file.write_text(json.dumps(scores))
    with (run / "metrics.jsonl").open("a") as lines:
        lines.write(json.dumps({"event": "evaluation", "epoch": 3, "step": 300, f"metric/{HOSTILE}": 0.5}) + "\n")
        lines.write(json.dumps(step(250, loss=HOSTILE)) + "\n")
    (run / "config.yaml").write_text(f"system: {HOSTILE}\n")
    (run / "model" / "config.yaml").write_text(json.dumps({"about": {"command": HOSTILE}}))
    document = read(write_report(run))
    assert {entry["tag"] for entry in document.elements} == {entry["tag"] for entry in calm.elements}
    assert HOSTILE in document.section("configuration")
    assert HOSTILE in document.section("worst")
    assert HOSTILE in document.section("use")
    assert not any(name.startswith("on") for entry in document.elements for name in entry["attributes"])


@given(st.text())
@settings(deadline=None, max_examples=200)
def test_any_text_is_read_back_as_itself_but_for_pictures_of_control_characters(value):
    document = Document(element("p", value, title=value))
    # The parser of a browser drops or changes these, which is why they are replaced by their pictures.
    expected = "".join(chr(0x2400 + ord(c)) if c < " " and c not in "\t\n" else c for c in value).replace(
        "\x7f", "\u2421"
    )
    assert document.elements[0]["text"] == expected
    assert document.elements[0]["attributes"]["title"] == expected


def test_half_a_surrogate_pair_does_not_stop_the_report(run):
    (run / "metrics.jsonl").unlink()
    changed(run, examples=[{"text": "\ud800x", "predicted": ["\ud800x"]}])
    assert "?x" in read(write_report(run)).section("examples")


@pytest.mark.parametrize("part", ["baselines", "by_class", "confusion", "by_length", "worst", "examples"])
def test_a_part_that_is_missing_or_empty_leaves_its_section_out(run, part):
    anchors = {"baselines": "methods"}
    assert read(write_report(run)).section(anchors.get(part, part)) is not None
    (run / "metrics.jsonl").unlink()
    for empty in (None, [] if part != "confusion" else {}):
        changed(run, **{part: empty})
        assert read(write_report(run)).section(anchors.get(part, part)) is None


PANELS = Evaluation(
    [Metric("loss", 0.25, label="mean loss", better="lower", compared="loss")],
    [
        Table(
            "shares",
            "Shares",
            [{"who": "left", "share": 0.25}],
            [Column("who", "whose"), Column("share", "part", "bar")],
        ),
        Confusion("places", "Places", ["A", "B"], [[3, 1], [0, 2]]),
        Readings("texts", "Texts", [{"text": "甲乙", "predicted": ["甲乙"]}], "zh"),
        Figure("early", "Early decisions", {"share right": [(0.0, 0.5), (1.0, 0.9)]}, "share seen", "share right"),
        Text("note", "A note", "<b>so it is</b>"),
    ],
)


def test_panels_are_shown_in_their_order_whatever_the_system(run):
    (run / "evaluation.json").write_text(json.dumps({"method": "mine", **PANELS.to_dict()}), encoding="utf-8")
    source = write_report(run).read_text(encoding="utf-8")
    document = Document(source)
    places = [source.index(f'id="{panel.name}"') for panel in PANELS.panels]
    assert places == sorted(places)
    assert "mean loss" in document.section("scores")
    assert "part" in document.section("shares")
    assert "A found as B: 1" in source
    assert 'lang="zh"' in source
    assert "<b>so it is</b>" in document.section("note")
    assert len(document.all("figure")) == 5


def test_methods_are_ranked_by_the_main_metric_in_its_own_direction(run):
    rows = [{"method": "mine", "loss": 0.25}, {"method": "chance", "loss": 0.5}, {"method": "best", "loss": 0.125}]
    content = {"method": "mine", **PANELS.to_dict(), "baselines": rows}
    (run / "evaluation.json").write_text(json.dumps(content), encoding="utf-8")
    methods = read(write_report(run)).section("methods")
    assert methods.index("best") < methods.index("mine (this run)") < methods.index("chance")


@pytest.mark.parametrize(
    ("shown", "sentence"),
    [
        ({"panels": 3}, "does not say how panels are shown"),
        ({"labels": []}, ""),
        ({"labels": [1]}, "does not say how panels are shown"),
        ({"panels": [{"name": "x", "kind": "table", "columns": 5}]}, "the columns of 'x'"),
        ({"panels": [{"name": "worst", "kind": "confusion"}]}, "as many rows and columns"),
        ({"panels": [{"name": HOSTILE, "kind": HOSTILE}, {}]}, ""),
        ({"panels": [{"name": "metrics", "kind": "figure"}, {"name": "metrics", "kind": "text"}]}, ""),
    ],
)
def test_what_says_how_panels_are_shown_is_checked(run, shown, sentence):
    changed(run, shown=shown)
    if not sentence:
        assert read(write_report(run)).section("use")
        return
    with pytest.raises(ModelError, match=sentence):
        write_report(run)


def test_a_run_without_other_methods_is_not_compared_with_itself(run):
    (run / "metrics.jsonl").unlink()
    changed(run, baselines=[{"method": "blstm-crf", "f1": 0.9}])
    assert read(write_report(run)).section("methods") is None


@pytest.mark.parametrize("kept", ["config.yaml", "metrics.jsonl", "evaluation.json"])
def test_one_file_is_enough_for_a_report(run, kept):
    for name in {"config.yaml", "metrics.jsonl", "evaluation.json"} - {kept}:
        (run / name).unlink()
    assert "Reproduce and use" in read(write_report(run)).section("use")


def test_a_run_without_scores_says_so(run):
    (run / "evaluation.json").unlink()
    assert "no scores" in read(write_report(run)).section("scores")


def test_entries_may_lack_every_key(run):
    changed(
        run,
        baselines=[{}],
        by_class=[{}],
        by_length=[{}],
        worst=[{}],
        examples=[{}, {"n_best": [{}, {}, 3]}],
        metrics={},
    )
    (run / "metrics.jsonl").write_text('{}\n{"event": "evaluation"}\n{"step": null, "loss": null}\n')
    assert read(write_report(run)).section("use")


def test_without_matplotlib_the_report_says_how_to_get_curves(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_svg", None)
    document = read(write_report(run))
    assert 'pip install "seqloom[reports]"' in document.section("training")
    assert "0.8000" in document.section("training")
    assert not document.all("figure")


def test_curves_keep_their_text_as_text_and_take_their_colours_from_the_page(run):
    source = write_report(run).read_text(encoding="utf-8")
    drawn = [entry for entry in Document(source).all("text") if entry["text"].strip() == "epoch"]
    assert len(drawn) == 4
    assert "var(--curve-1)" in source
    assert "#010203" not in source


def test_a_long_run_is_thinned_and_keeps_its_mean():
    records = [step(number, loss=float(number % 2)) for number in range(1, 10_001)]
    points = find_curves(records, [])[0].series[0].points
    assert len(points) <= 400
    assert sum(y for _, y in points) / len(points) == pytest.approx(0.5, abs=0.01)
    assert points[-1][0] == records[-1]["epoch"]


def test_records_of_the_other_spelling_are_understood():
    records = [{"kind": "evaluation", "epoch": 1, "step": 10, "loss": 0.5, "f1": 0.75, "seconds": 3}]
    scores = next(curve for curve in find_curves([], records) if "development" in curve.title)
    assert [(series.name, series.points) for series in scores.series] == [("f1", [(1.0, 0.75)])]


def test_the_words_that_differ_are_marked_on_both_sides():
    document = Document(compared(["李国庆", "节日", "在"], ["李", "国庆节", "日", "在"]))
    assert [entry["text"] for entry in document.all("mark", "missed")] == ["李国庆", "节日"]
    assert [entry["text"] for entry in document.all("mark", "wrong")] == ["李", "国庆节", "日"]
    assert [entry["text"] for entry in document.all("span", "chip")] == ["在", "在"]


@given(st.lists(st.text(min_size=1, max_size=3), max_size=8))
@settings(deadline=None, max_examples=50)
def test_equal_readings_have_no_marks_and_neighbours_differ_in_colour(words):
    document = Document(compared(words, words))
    assert not document.all("mark")
    colours = [entry["attributes"]["class"] for entry in Document(words_chips(words)).all("span", "chip")]
    assert all(left != right for left, right in pairwise(colours))
    assert ["".join(words)[start:end] for start, end in spans(words)] == words


def test_tags_that_differ_are_shown_with_their_tokens(run):
    (run / "metrics.jsonl").unlink()
    row = {"line": 1, "text": "EU rejects", "gold": ["B-ORG", "O"], "predicted": ["B-PER", "O"], "errors": 1}
    changed(run, worst=[row], system="tagger")
    document = read(write_report(run))
    assert [entry["text"] for entry in document.all("mark", "tag")] == ["EUB-PER B-ORG"]
    assert [entry["text"] for entry in document.all("span", "tag")] == ["rejectsO"]


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        ("evaluation.json", "{", "evaluation.json is not JSON"),
        ("evaluation.json", "[]", "does not hold a JSON object"),
        ("evaluation.json", '{"worst": {}, "by_class": 3}', "'by_class' is not a list of objects"),
        ("evaluation.json", '{"metrics": [1]}', "'metrics' is not an object"),
        ("evaluation.json", '{"confusion": {"labels": ["A"], "counts": [[1, 2]]}}', "as many rows and columns"),
        (
            "evaluation.json",
            '{"confusion": {"labels": ["A", "B"], "counts": [[-1, 1], [0, 1]]}}',
            "of counts as labels",
        ),
        ("metrics.jsonl", '{"step": 1}\nnonsense\n{"step": 2}\n', "metrics.jsonl:2: the line is not JSON"),
        ("metrics.jsonl", "3\n", "metrics.jsonl:1: expected a JSON object"),
    ],
)
def test_a_damaged_file_is_one_sentence_and_leaves_the_old_report(run, file, content, sentence):
    (run / "report.html").write_text("old")
    (run / file).write_text(content)
    with pytest.raises(ModelError) as caught:
        write_report(run)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (run / "report.html").read_text() == "old"


def test_half_a_line_at_the_end_of_the_metrics_is_a_run_that_still_goes_on(run):
    with (run / "metrics.jsonl").open("a") as lines:
        lines.write('{"event": "st')
    assert read(write_report(run)).section("training")


def test_what_is_no_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ModelError, match="is not a run directory"):
            write_report(path)


def test_the_verb_writes_where_it_is_told(run, tmp_path, capsys):
    assert report.run([str(run), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists()
    assert not (run / "report.html").exists()
    assert f"wrote {tmp_path / 'page.html'}" in capsys.readouterr().out
    with pytest.raises(SeqloomError, match="cannot be written"):
        report.run([str(run), "--out", str(tmp_path / "no" / "page.html")])


def test_markup_is_escaped_once():
    assert text(text("<")) == "&lt;"


DAMAGED = [{"a": 1}, [1.0, 2.0], "two", None, True, 1e300, 10**400]


@pytest.mark.parametrize("value", DAMAGED)
@pytest.mark.parametrize("key", ["epoch", "loss", "metrics", "accuracy"])
def test_a_damaged_record_leaves_a_curve_without_it(key, value):
    good = [{"epoch": n, "step": n, "loss": 1.0, "best": True, "metrics": {"accuracy": 0.5}} for n in range(3)]
    damaged = {**good[0], key: value}
    for curve in find_curves([*good, damaged], [*good, damaged]):
        assert curve.best is None or isinstance(curve.best, float)
        for series in curve.series:
            assert all(abs(x) <= 1e100 and abs(y) <= 1e100 for x, y in series.points)
        report.curves.draw(curve, "one")
