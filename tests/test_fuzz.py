"""Hostile input at every door: what comes of it is a result or one sentence, soon and in little memory.

As a test it tries some hundred mutations of each door under a fixed seed. ``make fuzz`` goes on for as long as it is told, under
a seed of the day; each failure prints the seed that makes it again.
"""

import argparse
import copy
import json
import random
import resource
import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import yaml

from seqloom.errors import SeqloomError

GOLDEN = Path(__file__).parent / "golden"
MODELS = sorted(folder.name for folder in GOLDEN.iterdir() if folder.is_dir())
SECONDS, MEMORY = 5.0, 200 * 2**20
IN_THE_SUITE = {
    "recipe": 400,
    "option": 150,
    "model": 60,
    "tagged": 120,
    "steps": 500,
    "words": 500,
    "vectors": 400,
    "run": 40,
    "checkpoint": 200,
    "ink": 400,
    "skeletons": 300,
    "documents": 300,
    "series": 300,
    "trees": 300,
}
"""Mutations of each door in the suite: a second or two of each."""

CONLLU = (
    "# text = Ann and I\n1\tAnn\tAnn\tPROPN\t_\t_\t0\troot\t_\t_\n2-3\tandI\t_\t_\t_\t_\t_\t_\t_\tSpaceAfter=No\n"
    "2\tand\tand\tCCONJ\t_\t_\t3\tcc\t_\t_\n3\tI\tI\tPRON\t_\t_\t1\tconj\t_\t_\n\n"
)
JSONL = (
    '{"text": "Ann saw Oslo", "spans": [{"start": 0, "end": 3, "label": "PER"}, [8, 12, "LOC"]], "intent": "look"}\n'
    '{"tokens": ["Bo", "left"], "tags": ["B-PER", "O"], "intent": "go"}\n'
    '{"text": "我是", "words": [{"w": "我", "start": 0, "end": 1}, {"w": "是", "start": 1, "end": 2}]}\n'
)
UNIPEN = (
    '.VERSION 1.0\n.COORD X Y T\n.WRITER_ID abc\n.SEGMENT CHARACTER 0,2 OK "a"\n.SEGMENT CHARACTER 2:0-3:1 ? "b"\n'
    ".PEN_DOWN\n0 0 0\n1 5 10\n.PEN_UP\n9 9 20\n.PEN_DOWN\n4 4 30\n.PEN_DOWN\n1 1 40\n2 2 50\n"
)
INKML = (
    '<ink xmlns="http://www.w3.org/2003/InkML"><traceFormat><channel name="X"/><channel name="Y"/></traceFormat>'
    '<trace id="0">1 2, \'3\'4, "5"6</trace><traceGroup><annotation type="truth">a</annotation>'
    '<traceView traceDataRef="0"/><trace id="1">1 2</trace></traceGroup></ink>'
)
STROKES = (
    '{"strokes": [[[0, 0], [1, 2]], [[3, 3]]], "label": "a", "writer": 3, "split": "test"}\n'
    '{"drawing": [[[0, 1], [0, 2], [0, 5]]], "word": "b"}\n[[{"x": 1, "y": 2, "t": 4}]]\n'
)
MSR = "".join(f"0.{joint} 1.5 2.5 1.0\n" for joint in range(40))
NTU = "2\n1\n72 0 1\n25\n" + "0.1 0.2 0.3 1\n" * 25 + "0\n"
POSES = '[{"people": [{"pose_keypoints_2d": [' + "1, 2.5, 0.5, " * 24 + '1, 2, 1]}]}, {"people": []}]'
VECTORS = "4 3\nthe 0.1 0.2 0.3\nAnn 1 2 3\nOslo -1e-3 0 5\nsaw 1 1 1\n"
WORDS = "中国 12 ns\n人民 3\n中国人\nabc nr\n"
RECIPE = """system: tagger
method: network
data: {train: a.conll, columns: 'text=0,tag=-1', held_out: 0.1, limit: 3}
model:
  cell: lstm
  hidden_size: 16
  features: {token: 8, shape: 4}
  embeddings: {token: a.vec}
  dropout_input: 0.3
  zoneout: {h: 0.1}
  residual: false
training: {epochs: 3, learning_rate: 1e-3, seed: 1, optimiser: adam, threads: 0}
statistics: {rare: 10}
baselines: [hmm, most_frequent]
"""

HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 2**70, 1e308, -0.5, 0.5, float("nan"), float("inf"), float("-inf")),
    *(
        "",
        " ",
        "a",
        "lstm",
        "null",
        "\0",
        "\ud800",
        "../..",
        "x" * 5000,
        "1" * 400,
        "%s{}",
        "[",
        "{a: 1}",
        "!!python/name:os.system",
    ),
    *([], {}, [None], [1, 2], {"a": 1}, {"": {}}, {"name": []}, [[[[]]]], [{"a": [1]}], ["a", "b"]),
]
PIECES = [
    *(
        b"\0",
        b"\n",
        b"\r",
        b"\t",
        b" ",
        b"\x1b[2J",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xe2\x80\xa8",
    ),
    *(
        b"#",
        b"# ",
        b"-",
        b"/",
        b"\\",
        b'"',
        b"'",
        b"[" * 200,
        b"{" * 150,
        b'{"a":' * 300,
        b"9" * 5000,
        b"0x" + b"f" * 9000,
    ),
    *(
        b"NaN",
        b"Infinity",
        b"1e999",
        b"null",
        b"true",
        b"~",
        b"*a",
        b"&a ",
        b"!!timestamp 2001-99-99",
        b"!!bool x",
        b"!!int a",
    ),
    *(
        b"<<: ",
        b"? ",
        b": ",
        b"- - - ",
        b"|\n",
        b"1-2",
        b"1.1",
        b"B-",
        b"B_PER",
        b"I-\t",
        b"\t\t\t\t\t\t\t\t\t",
        b"\x85",
        b"\x1c",
    ),
    *(
        b"\\ud800",
        b"\\u0000",
        b"=" * 40,
        b"\xf0\x9f\x91\xa9\xe2\x80\x8d",
        b"\x1f\x8b",
        b"BZh9",
        b"\xfd7zXZ\x00",
        b"\n" * 50,
    ),
]


def bytes_mutated(data: bytes, chance: random.Random) -> bytes:
    """One to four small changes of a file."""
    for _ in range(chance.randint(1, 4)):
        at, end = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
        match chance.randrange(7):
            case 0:
                data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[:at] + data[end:]
            case 2:
                data = data[:at]
            case 3:
                data = data[:end] + data[at:end][:2000] + data[end:]
            case _:
                data = data[:at] + chance.choice(PIECES) + data[at + chance.choice([0, 0, 1, 5]) :]
    return data


def value_mutated(value: Any, chance: random.Random) -> Any:
    """Nested values with one to three of them replaced, taken out or renamed."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return chance.choice(HOSTILE)
        around, key = chance.choice(places)
        match chance.randrange(6):
            case 0:
                del around[key]
            case 1 if isinstance(around, dict):
                around[chance.choice(["", "x", "name", "system", key + " "])] = around.pop(key)
            case 2 if isinstance(around, list):
                around.insert(key, copy.deepcopy(around[key]))
            case _:
                around[key] = copy.deepcopy(chance.choice(HOSTILE))
    return value


def _places(value: Any) -> Any:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def _yaml(value: Any) -> bytes:
    return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")


def _mutated_text(chance: random.Random, text: str, parse: Callable[[str], Any], dump: Callable[[Any], bytes]) -> bytes:
    if chance.random() < 0.5:
        return bytes_mutated(text.encode(), chance)
    return dump(value_mutated(parse(text), chance))


def recipe(chance: random.Random, place: Path) -> None:
    """A recipe, up to the checked configuration; some extend a shipped one."""
    from seqloom.app.configuration import configure, to_yaml

    text = RECIPE if chance.random() < 0.7 else "extends: segment\nmodel: {hidden_size: 8}\ntraining: {epochs: 2}\n"
    file = place / "recipe.yaml"
    file.write_bytes(_mutated_text(chance, text, yaml.safe_load, _yaml))
    _, config = configure(str(file), {})
    to_yaml(config)


def option(chance: random.Random, place: Path) -> None:
    """Options of the command line."""
    from seqloom.app.configuration import configure

    key = chance.choice(
        ["model.features", "model.hidden_size", "training.epochs", "model.zoneout", "baselines", "model", "data.train"]
    )
    text = bytes_mutated(b"{token: 8, shape: [1, 2e3]}", chance).decode("utf-8", "surrogateescape")
    configure("tag", [f"--{key}", text])


def model(chance: random.Random, place: Path) -> None:
    """A model directory, loaded, described and used."""
    from seqloom.app.info import describe_model
    from seqloom.data.source import Source
    from seqloom.systems.registry import load, system

    folder = chance.choice(MODELS)
    directory = place / "model"
    shutil.copytree(GOLDEN / folder / "model", directory)
    file = chance.choice(sorted(path for path in directory.rglob("*") if path.is_file() and path.name != "card.md"))
    if file.suffix == ".safetensors":
        _mutate_tensors(file, chance)
    elif file.suffix == ".json":
        file.write_bytes(
            _mutated_text(chance, file.read_text("utf-8"), json.loads, lambda value: json.dumps(value).encode())
        )
    else:
        file.write_bytes(_mutated_text(chance, file.read_text("utf-8"), yaml.safe_load, _yaml))
    if chance.random() < 0.05:
        file.unlink()
    with suppress(SeqloomError):
        describe_model(directory)
    loaded = load(directory)
    own = system(folder.split("-")[0]).create()
    lines = {"tagger": ["Ann saw Oslo", ""], "segmenter": ["我是中国人", "x"], "synthetic": ["[[0.5, 1], [0.1, 1]]"]}[
        own.name
    ]
    list(own.predict(loaded, Source(lines), own.options()))


def _mutate_tensors(file: Path, chance: random.Random) -> None:
    from safetensors.numpy import load_file, save_file

    if chance.random() < 0.5:
        file.write_bytes(bytes_mutated(file.read_bytes(), chance))
        return
    tensors = load_file(file)
    name = chance.choice(sorted(tensors))
    array = tensors[name].copy()
    match chance.randrange(7):
        case 0:
            del tensors[name]
        case 1:
            tensors[name] = array.reshape(-1)[: array.size // 2]
        case 2:
            tensors[name] = array.astype(chance.choice(["float64", "int8", "int64", "bool", "float16", "uint8"]))
        case 3:
            tensors[name] = array.reshape(1, *array.shape)
        case _ if array.size:
            value = chance.choice([float("nan"), float("inf"), -1.0, 1e30, 127.0, -128.0, 200.0])
            kind = array.dtype.kind
            array.reshape(-1)[chance.randrange(array.size)] = (
                value if kind == "f" else int(value % 100) if value < 1e9 else 1
            )
            tensors[name] = array
        case _:
            tensors["extra"] = array
    save_file(tensors, file)


def tagged(chance: random.Random, place: Path) -> None:
    """A data file in one of the formats, packed or not: checked, and read as a training would."""
    from seqloom.data.kinds import check

    english = (GOLDEN / "en.conll").read_text("utf-8")
    name, text = chance.choice(
        [
            *(
                ("a.conll", english),
                ("a.conllu", CONLLU * 2),
                ("a.jsonl", JSONL),
                ("a.txt", (GOLDEN / "zh.txt").read_text("utf-8")),
            ),
            *(("b.txt", "Ann/NNP saw/VBD Oslo/NNP\nBo/NNP ran/VBD\n"), ("a.tsv", "token\ttag\nAnn\tB-PER\nsaw\tO\n")),
        ]
    )
    data = text.encode()
    if name.endswith("jsonl") and chance.random() < 0.5:
        lines = [json.dumps(value_mutated(json.loads(line), chance)) for line in text.splitlines()]
        data = "\n".join(lines).encode()
    elif chance.random() < 0.85:
        data = bytes_mutated(data, chance)
    file = place / name
    file.write_bytes(_packed(data, chance))
    encoding = chance.choice(["utf-8"] * 8 + ["utf-16", "gb18030", "latin-1", "hex", "x"])
    format = chance.choice(["auto"] * 6 + ["columns", "conllu", "jsonl", "slashed", "segmented", "plain", "text"])
    try:
        check(file, as_=format, encoding=encoding)
    finally:
        _apply(chance, file)


def _packed(data: bytes, chance: random.Random) -> bytes:
    import bz2
    import gzip
    import lzma

    if chance.random() < 0.7:
        return data
    packed = chance.choice([gzip.compress, bz2.compress, lzma.compress])(data)
    return bytes_mutated(packed, chance) if chance.random() < 0.8 else packed


_LOADED: dict[str, Any] = {}


def _apply(chance: random.Random, file: Path) -> None:
    """Predicts and scores a file with a sound model."""
    from seqloom.data.source import Source
    from seqloom.systems.registry import load, system

    name = chance.choice(["tagger", "tagger-hmm", "segmenter", "segmenter-bigram"])
    own = system(name.split("-")[0]).create()
    loaded = _LOADED.setdefault(name, None) or load(GOLDEN / name / "model")
    _LOADED[name] = loaded
    format = chance.choice(["native", "plain", "json"] if own.name == "tagger" else ["plain", "json"])
    for line in own.predict(loaded, Source(str(file)), own.options(format=format)):
        line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line


def steps(chance: random.Random, place: Path) -> None:
    """Sequences of numbers as JSON lines."""
    from seqloom.data.source import Source
    from seqloom.systems.registry import load, system

    own = system("synthetic").create()
    loaded = _LOADED.setdefault("synthetic", None) or load(GOLDEN / "synthetic" / "model")
    _LOADED["synthetic"] = loaded
    file = place / "a.jsonl"
    text = "[[0.5, 1.0], [0.25, 0.0]]"
    file.write_bytes(_mutated_text(chance, text, json.loads, lambda value: json.dumps(value).encode()))
    list(own.predict(loaded, Source(str(file)), own.options()))


def words(chance: random.Random, place: Path) -> None:
    """A user's dictionary."""
    from seqloom.systems.tagger.segmentation.dictionary import read_word_file

    file = place / chance.choice(["a.txt", "a.txt.gz", "a.txt.xz"])
    file.write_bytes(_packed(bytes_mutated(WORDS.encode(), chance), chance))
    read_word_file(file)


def vectors(chance: random.Random, place: Path) -> None:
    """Word vectors, as text and binary."""
    import numpy as np

    from seqloom.data.embeddings import load_embeddings

    data = VECTORS.encode()
    if chance.random() < 0.4:
        data = b"2 3\nAnn " + np.ones(3, "<f4").tobytes() + b"\nOslo " + np.ones(3, "<f4").tobytes()
    file = place / "a.vec"
    file.write_bytes(_packed(bytes_mutated(data, chance), chance))
    load_embeddings(file, ["Ann", "Oslo", "x"])


def run(chance: random.Random, place: Path) -> None:
    """What a report reads of a run."""
    from seqloom.app.report import write_report

    folder = GOLDEN / chance.choice(MODELS)
    directory = place / "run"
    directory.mkdir()
    for name in ("config.yaml", "evaluation.json", "metrics.jsonl"):
        if (folder / name).exists():
            shutil.copy(folder / name, directory / name)
    file = directory / chance.choice(["config.yaml", "evaluation.json", "evaluation.json", "metrics.jsonl"])
    text = file.read_text("utf-8") if file.exists() else ""
    if file.suffix == ".json":
        file.write_bytes(_mutated_text(chance, text, json.loads, lambda value: json.dumps(value).encode()))
    elif file.suffix == ".jsonl" and text:
        lines = [json.dumps(value_mutated(json.loads(line), chance)) for line in text.splitlines()]
        file.write_text("\n".join(lines))
    else:
        file.write_bytes(bytes_mutated(text.encode(), chance))
    write_report(directory)


def checkpoint(chance: random.Random, place: Path) -> None:
    """A checkpoint."""
    import torch

    from seqloom.training.checkpoint import read_checkpoint, write_checkpoint

    file = place / "last.safetensors"
    write_checkpoint(file, {"a": torch.ones(3)}, {"state": {"step": 1}})
    file.write_bytes(bytes_mutated(file.read_bytes(), chance))
    read_checkpoint(file)


def _archive(chance: random.Random, file: Path, arrays: dict[str, Any]) -> None:
    """An archive of which some arrays have gone, or have another shape, type or value, or of which some bytes are others."""
    arrays = {name: np.array(array) for name, array in arrays.items()}
    for _ in range(chance.randint(0, 3)):
        name = chance.choice(sorted(arrays))
        match chance.randrange(5):
            case 0 if len(arrays) > 1:
                del arrays[name]
            case 1:
                arrays[name] = np.zeros([chance.randint(0, 3) for _ in range(chance.randint(0, 4))])
            case 2:
                kind = chance.choice(["f4", "i8", "u1", "U2", "S2", "?", "c8", "M8[s]"])
                with suppress(ValueError, TypeError, RuntimeError):
                    arrays[name] = arrays[name].astype(kind)
            case 3 if arrays[name].size and arrays[name].dtype.kind in "if":
                value = chance.choice([-1, 10**9, 3] + [np.nan, np.inf, 1e30] * (arrays[name].dtype.kind == "f"))
                arrays[name].flat[chance.randrange(arrays[name].size)] = value
            case _:
                arrays[chance.choice(["x", "y", "split", "lengths", "used", "label"])] = arrays[name]
    np.savez(file, **arrays)
    if chance.random() < 0.2:
        file.write_bytes(bytes_mutated(file.read_bytes(), chance))


def ink(chance: random.Random, place: Path) -> None:
    """Strokes of a pen in all formats, read, made features, checked."""
    from seqloom.data.ink.features import PenFeatures
    from seqloom.data.ink.kind import InkCheck, InkKind
    from seqloom.data.ink.reading import read_ink
    from seqloom.data.labelled import flattened

    name, text = chance.choice(
        [("a.dat", UNIPEN), ("a.inkml", INKML), ("a.jsonl", STROKES), ("a.json", STROKES.split("\n")[0]), ("a.npz", "")]
    )
    if text:
        (place / name).write_bytes(bytes_mutated(text.encode(), chance))
    else:
        flat = {
            "dx": [0, 1, 2, 0],
            "dy": [0, 1, 1, 5],
            "pen_up": [0, 1, 0, 1],
            "offsets": [0, 2, 4],
            "label": ["a", "b"],
        }
        rows = {"train_x": np.ones((2, 4, 2)), "train_y": [1, 2], "test_x": np.ones((1, 4, 2)), "test_y": [1]}
        _archive(chance, place / name, chance.choice([flat, rows]))
    if InkKind().recognises(place / name):
        InkKind().check(InkCheck(data=place / name))
    data = read_ink(place / name)
    features = PenFeatures(channels=data.facts["channels"])
    if data.examples:
        found, _ = features.apply(*flattened(data.examples))
        assert np.isfinite(found).all()


def skeletons(chance: random.Random, place: Path) -> None:
    """Joints in all formats, read, made features, checked."""
    from seqloom.data.labelled import flattened
    from seqloom.data.skeleton.definition import Skeleton
    from seqloom.data.skeleton.features import SkeletonFeatures
    from seqloom.data.skeleton.kind import SkeletonCheck, SkeletonKind
    from seqloom.data.skeleton.reading import read_skeletons

    name, text = chance.choice(
        [("a01_s02_e03_skeleton3D.txt", MSR), ("S001C001P001R001A001.skeleton", NTU), ("a.json", POSES), ("a.npz", "")]
    )
    if text:
        (place / name).write_bytes(bytes_mutated(text.encode(), chance))
    else:
        joints = np.random.default_rng(0).normal(size=(8, 20, 3))
        flat = {"xyz": joints, "offsets": [0, 5, 8], "action": [1, 2], "subject": [3, 4], "used": [True, False]}
        rows = {"keypoints": joints.reshape(2, 4, 20, 3), "lengths": [4, 2], "label": ["a", "b"], "split": [0, 2]}
        _archive(chance, place / name, chance.choice([flat, rows]))
    if SkeletonKind().recognises(place / name):
        SkeletonKind().check(SkeletonCheck(data=place / name))
    data = read_skeletons(place / name)
    if data.examples and data.facts["skeleton"]:
        features = SkeletonFeatures(skeleton=Skeleton.of(data.facts["skeleton"]), dimensions=data.facts["dimensions"])
        found, _ = features.apply(*flattened(data.examples))
        assert np.isfinite(found).all()


CSV = 'text,label,who\n"one, ""two""\nthree",good,ann\nfour,bad,bob\n'
DOCUMENTS = {
    "a.csv": CSV,
    "a.tsv": "1\tgood text here\n0\tbad text there\n",
    "a.txt": "__label__x one\n__label__y two\n",
}
TS = "@problemName a\n@timestamps false\n@univariate false\n@dimensions 2\n@equalLength false\n@classLabel true a b\n@data\n"
SERIES = {
    "a.ts": TS + "1,2,3:4,5,?:a\n0.5,-1e3:1,2:b\n",
    "a.csv": "case,t,f1,f2,label\n1,0,0.5,2,a\n1,1,0.25,?,a\n2,0,1,1,b\n",
    "a.arff": "@relation a\n@attribute x numeric\n@attribute y numeric\n@attribute class {a,b}\n@data\n1,2,a\n?,4,b\n",
}


def trees(chance: random.Random, place: Path) -> None:
    """Trees in brackets, as heads and as CoNLL-U, read and checked."""
    from seqloom.data.trees.formats import read_trees
    from seqloom.data.trees.kind import TreeCheck, TreeKind

    name, text = chance.choice(
        [("a.txt", "(3 (2 It) (4 (2 's) (4 good)))\n(1 (2 -LRB-) (1 bad))\n"), ("a.conllu", CONLLU)]
    )
    file = place / name
    file.write_bytes(_packed(bytes_mutated(text.encode(), chance), chance))
    if TreeKind().recognises(file):
        TreeKind().check(TreeCheck(data=file))
    for tree in read_trees(file):
        assert len(tree.words) >= 0


def documents(chance: random.Random, place: Path) -> None:
    """Texts with classes in all formats, read, cut into tokens, checked."""
    from seqloom.data.documents.config import DocumentReading, TokenConfig
    from seqloom.data.documents.kind import DocumentCheck, DocumentKind
    from seqloom.data.documents.read import load_documents
    from seqloom.data.documents.tokens import Tokeniser
    from seqloom.data.source import Source

    name, text = chance.choice([*DOCUMENTS.items(), ("a.jsonl", '{"text": "one", "label": ["a"]}\n')])
    file = place / name
    file.write_bytes(_packed(bytes_mutated(text.encode() * chance.choice([1, 3]), chance), chance))
    if DocumentKind().recognises(file):
        DocumentKind().check(DocumentCheck(data=file))
    tokeniser = Tokeniser(TokenConfig())
    for one in load_documents(Source(str(file)), DocumentReading()).examples:
        assert len(tokeniser.spans(one.text)) >= 0
        tokeniser.sentences(one.text)


def series(chance: random.Random, place: Path) -> None:
    """Series in all formats, read, made features, checked."""
    from seqloom.data.labelled import flattened
    from seqloom.data.series.config import SensorFeaturesConfig
    from seqloom.data.series.features import SensorFeatures
    from seqloom.data.series.kind import SeriesCheck, SeriesKind
    from seqloom.data.series.read import read_series
    from seqloom.data.series.reading import SeriesReading
    from seqloom.data.source import Source

    name, text = chance.choice([*SERIES.items(), ("a.npz", "")])
    if text:
        (place / name).write_bytes(bytes_mutated(text.encode(), chance))
    else:
        rows = {"x": np.ones((5, 2)), "offsets": [0, 2, 5], "y": ["a", "b"], "group": [1, 2], "split": [0, 2]}
        _archive(chance, place / name, rows)
    if SeriesKind().recognises(place / name):
        SeriesKind().check(SeriesCheck(data=place / name))
    data = read_series(Source(str(place / name)), SeriesReading())
    if data.examples:
        features = SensorFeatures(SensorFeaturesConfig(), data.facts["channels"])
        flat, offsets = flattened(data.examples)
        features.fit(flat, offsets)
        features.apply(flat, offsets)


DOORS: dict[str, Callable[[random.Random, Path], None]] = {
    door.__name__: door
    for door in (
        recipe,
        option,
        model,
        tagged,
        steps,
        words,
        vectors,
        run,
        checkpoint,
        ink,
        skeletons,
        documents,
        series,
        trees,
    )
}


def attempt(name: str, seed: str, folder: Path) -> tuple[str, str]:
    """One mutation: ``result``, ``sentence``, or what is wrong and the details."""
    place = folder / "place"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    begun, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome, said = "result", ""
    try:
        DOORS[name](random.Random(seed), place)
    except SeqloomError as error:
        outcome, said = "sentence", str(error)
        if "\n" in said or not said or len(said) > 20_000:
            return "no sentence", repr(said[:500])
    except Exception:
        return "traceback", traceback.format_exc()
    seconds = time.process_time() - begun
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if seconds > SECONDS:
        return "too slow", f"{seconds:.1f} s"
    if grown > MEMORY:
        return "too large", f"{grown / 2**20:.0f} MiB"
    return outcome, said


@pytest.mark.parametrize("name", DOORS)
def test_hostile_input_is_a_result_or_one_sentence(name, tmp_path):
    warm_up()
    for number in range(IN_THE_SUITE[name]):
        seed = f"{name}-suite-{number}"
        outcome, said = attempt(name, seed, tmp_path)
        assert outcome in ("result", "sentence"), f"seed {seed!r}: {outcome}\n{said}"


def warm_up() -> None:
    """Imports what the doors need, so that no door is charged with it."""
    import seqloom.data.ink.check
    import seqloom.data.skeleton.check
    import seqloom.systems.synthetic.system
    import seqloom.systems.tagger.segmentation.neural
    import seqloom.systems.tagger.system  # noqa: F401


def main() -> int:
    """Tries mutations until the time is over; prints each kind of failure once, and counts per door."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long")
    parser.add_argument("--seed", default=time.strftime("%Y-%m-%d"), help="of the mutations")
    parser.add_argument("--doors", nargs="*", default=list(DOORS), choices=list(DOORS), help="which doors")
    parser.add_argument("--again", help="one failure's seed, DOOR-...")
    options = parser.parse_args()
    warm_up()
    counts: dict[str, Counter[str]] = {name: Counter() for name in options.doors}
    failures: set[str] = set()
    with TemporaryDirectory(prefix="seqloom-fuzz-") as folder:
        if options.again:
            print(*attempt(options.again.partition("-")[0], options.again, Path(folder)), sep="\n")
            return 0
        end, number = time.monotonic() + options.seconds, 0
        print(f"seed {options.seed}", flush=True)
        while time.monotonic() < end:
            for name in options.doors:
                seed = f"{name}-{options.seed}-{number}"
                outcome, said = attempt(name, seed, Path(folder))
                counts[name][outcome] += 1
                kind = f"{name} {outcome} {said.splitlines()[-4:-2]}"
                if outcome not in ("result", "sentence") and kind not in failures:
                    failures.add(kind)
                    print(f"--again {seed}: {outcome}\n{said}", flush=True)
            number += 1
    for name, count in counts.items():
        print(f"{name:<12}", *(f"{outcome} {times:,}" for outcome, times in sorted(count.items())), sep="  ")
    print(f"{sum(sum(count.values()) for count in counts.values()):,} mutations")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
