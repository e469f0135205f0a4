"""Reading and writing what people have: file formats, tagging schemes, vocabularies, batches, word vectors, checks.

`read` takes any file of sentences; `seqloom.check` says what is wrong with data of any kind in `seqloom.data.kinds`.

The names below are imported when they are first used, as those of `seqloom` are.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seqloom.data.batching import batches, evaluation_batches, pad, pad_rows, restore_order
    from seqloom.data.bilingual import Alignment, align_embeddings
    from seqloom.data.characters import BigramVocabulary, CharacterVocabulary, FlatBatch
    from seqloom.data.embeddings import Embeddings, load_embeddings
    from seqloom.data.files import checksum, open_text, write_atomic
    from seqloom.data.tagged.corpus import CorpusReport, TaggedCorpus
    from seqloom.data.tagged.formats import ReadOptions, format_sentences, read
    from seqloom.data.tagged.joint import joint_tags, joint_words
    from seqloom.data.tagged.legality import check_tags, constraints, detect_scheme, illegal_tags
    from seqloom.data.tagged.schemes import (
        DIRECT_LABELS,
        SCHEMES,
        Scheme,
        Span,
        convert,
        label_table,
        spans_from,
        tags_from,
    )
    from seqloom.data.tagged.sentences import Sentence
    from seqloom.data.tagged.words import tags_to_words, words_to_tags
    from seqloom.data.vocabulary import TagVocabulary, Vocabulary

__all__ = [
    "DIRECT_LABELS",
    "SCHEMES",
    "Alignment",
    "BigramVocabulary",
    "CharacterVocabulary",
    "CorpusReport",
    "Embeddings",
    "FlatBatch",
    "ReadOptions",
    "Scheme",
    "Sentence",
    "Span",
    "TagVocabulary",
    "TaggedCorpus",
    "Vocabulary",
    "align_embeddings",
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
    "bilingual": ("Alignment", "align_embeddings"),
    "characters": ("BigramVocabulary", "CharacterVocabulary", "FlatBatch"),
    "tagged.corpus": ("TaggedCorpus", "CorpusReport"),
    "embeddings": ("Embeddings", "load_embeddings"),
    "files": ("checksum", "open_text", "write_atomic"),
    "tagged.formats": ("ReadOptions", "format_sentences", "read"),
    "tagged.joint": ("joint_tags", "joint_words"),
    "tagged.legality": ("check_tags", "constraints", "detect_scheme", "illegal_tags"),
    "tagged.schemes": (
        "DIRECT_LABELS",
        "SCHEMES",
        "Scheme",
        "Span",
        "convert",
        "label_table",
        "spans_from",
        "tags_from",
    ),
    "tagged.sentences": ("Sentence",),
    "vocabulary": ("TagVocabulary", "Vocabulary"),
    "tagged.words": ("tags_to_words", "words_to_tags"),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(f"seqloom.data.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'seqloom.data' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
