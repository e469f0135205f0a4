"""Reading and writing what people have: file formats, tagging schemes, vocabularies, batches, word vectors, checks.

`read` takes any file of sentences; `seqloom.data.check.check` says what is wrong with the files of a training.

The names below are imported when they are first used, as those of `seqloom` are.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.data.batching import batches, evaluation_batches, pad, pad_rows, restore_order
    from seqloom.data.characters import BigramVocabulary, CharacterVocabulary, FlatBatch
    from seqloom.data.corpus import Corpus, CorpusReport
    from seqloom.data.embeddings import Embeddings, load_embeddings
    from seqloom.data.files import checksum, open_text, write_atomic
    from seqloom.data.formats import ReadOptions, format_sentences, read
    from seqloom.data.joint import joint_tags, joint_words
    from seqloom.data.legality import check_tags, constraints, detect_scheme, illegal_tags
    from seqloom.data.schemes import DIRECT_LABELS, SCHEMES, Scheme, Span, convert, label_table, spans_from, tags_from
    from seqloom.data.sentences import Sentence
    from seqloom.data.vocabulary import TagVocabulary, Vocabulary
    from seqloom.data.words import tags_to_words, words_to_tags

__all__ = [
    "DIRECT_LABELS",
    "SCHEMES",
    "BigramVocabulary",
    "CharacterVocabulary",
    "Corpus",
    "CorpusReport",
    "Embeddings",
    "FlatBatch",
    "ReadOptions",
    "Scheme",
    "Sentence",
    "Span",
    "TagVocabulary",
    "Vocabulary",
    "batches",
    "check_tags",
    "checksum",
    "constraints",
    "convert",
    "detect_scheme",
    "evaluation_batches",
    "format_sentences",
    "illegal_tags",
    "joint_tags",
    "joint_words",
    "label_table",
    "load_embeddings",
    "open_text",
    "pad",
    "pad_rows",
    "read",
    "restore_order",
    "spans_from",
    "tags_from",
    "tags_to_words",
    "words_to_tags",
    "write_atomic",
]

_NAMES = {
    "batching": ("batches", "evaluation_batches", "pad", "pad_rows", "restore_order"),
    "characters": ("BigramVocabulary", "CharacterVocabulary", "FlatBatch"),
    "corpus": ("Corpus", "CorpusReport"),
    "embeddings": ("Embeddings", "load_embeddings"),
    "files": ("checksum", "open_text", "write_atomic"),
    "formats": ("ReadOptions", "format_sentences", "read"),
    "joint": ("joint_tags", "joint_words"),
    "legality": ("check_tags", "constraints", "detect_scheme", "illegal_tags"),
    "schemes": ("DIRECT_LABELS", "SCHEMES", "Scheme", "Span", "convert", "label_table", "spans_from", "tags_from"),
    "sentences": ("Sentence",),
    "vocabulary": ("TagVocabulary", "Vocabulary"),
    "words": ("tags_to_words", "words_to_tags"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"seqloom.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'seqloom.data' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
