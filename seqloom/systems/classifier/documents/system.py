"""The classifier of documents."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from seqloom.data.documents.config import DocumentReading, TokenConfig
from seqloom.data.documents.read import line_document, read_documents
from seqloom.data.documents.tables import TableRow
from seqloom.data.labelled import Document, Labelled, LabelledData
from seqloom.data.source import Source
from seqloom.data.vocabulary import Vocabulary
from seqloom.systems.classifier.baselines.method import Method
from seqloom.systems.classifier.baselines.prior import Prior
from seqloom.systems.classifier.baselines.tfidf import Terms
from seqloom.systems.classifier.documents.config import (
    DocumentClassifierConfig,
    DocumentDataConfig,
    DocumentModelConfig,
)
from seqloom.systems.classifier.documents.inputs import DocumentInputs
from seqloom.systems.classifier.model import AnyClassifier, ClassifierModel
from seqloom.systems.classifier.output import Native
from seqloom.systems.classifier.system import ClassifierSystem
from seqloom.systems.contract import Sample
from seqloom.systems.saved import ModelDirectory

__all__ = ["DocumentClassifier", "DocumentClassifierSystem"]


class DocumentClassifier(ClassifierModel):
    """A recurrent classifier of documents."""

    system = "document_classifier"
    purpose = "A class for a text."


class DocumentClassifierSystem(ClassifierSystem):
    """Texts to classes: topics, sentiment, intents."""

    name = "document_classifier"
    summary = "a class, or several, for each text: topics, sentiment, intents"
    config = DocumentClassifierConfig
    examples_name = "documents"
    takes = "a table, JSON lines, lines of text or a folder, compressed or not, or - for a text in each line"
    kind = "documents"
    model, data_config, model_config = DocumentClassifier, DocumentDataConfig, DocumentModelConfig

    def read_labelled(self, source: Source, data: Any, part: str) -> LabelledData[Document]:
        """Documents of any of the formats."""
        encoded = source if source.encoding != "utf-8" else Source(source.place, data.encoding)
        return read_documents(encoded, data, part)

    def fit_inputs(self, config: Any, train: Sequence[Document], facts: Mapping[str, Any]) -> DocumentInputs:
        """The vocabulary of the training documents."""
        return DocumentInputs.fit(config.features, config.model, train)

    def restore_inputs(self, directory: ModelDirectory) -> DocumentInputs:
        """Tokeniser and vocabulary of a model."""
        vocabulary = Vocabulary.load(directory.vocab / "words.json")
        in_sentences = directory.section("model").get("architecture") == "sentences"
        return DocumentInputs(directory.built("features", TokenConfig), vocabulary, in_sentences)

    def methods(self) -> Mapping[str, type[Method]]:
        """How frequent each class is, and logistic regression on terms."""
        return {"prior": Prior, "tfidf": Terms}

    def parsed(self, lines: Iterable[str], model: AnyClassifier) -> Iterator[Document]:
        """A document in each line: JSON lines where they look so, else texts."""
        reading = DocumentReading(**{name: model.reading[name] for name in ("text", "label", "group")})
        for number, line in enumerate(lines, start=1):
            yield line_document(line, f"input:{number}", reading)

    def native_writer(self) -> Native:
        """JSON lines with keys ``predicted`` and ``probability`` added, or tables with two columns more."""
        begun = False

        def write(example: Labelled, answer: str, probability: float | None) -> str:
            nonlocal begun
            assert isinstance(example, Document)
            if isinstance(example.record, dict):
                added = {"predicted": answer, "probability": probability}
                return json.dumps({**example.record, **added}, ensure_ascii=False)
            row = example.record if isinstance(example.record, TableRow) else TableRow((), (example.text,))
            head = [[*row.names, "predicted", "probability"]] if row.names and not begun else []
            begun = True
            shown = "" if probability is None else probability
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([*head, [*row.fields, answer, shown]])
            return text.getvalue().removesuffix("\n")

        return write

    def sample(self) -> Sample[Document]:
        """Praise and blame in few words."""
        good, bad = ("a fine film", "good and warm", "I liked it a lot"), ("a dull film", "bad and cold", "I hated it")
        texts = [(text, "good") for text in good] + [(text, "bad") for text in bad]
        model = {"hidden_size": 12, "embedding_size": 16, "minimum_count": 1, "unknown_rate": 0, "dropout_input": 0}
        return Sample(
            sections={
                "baselines": [],
                "model": model,
                "training": {"epochs": 30, "batch_size": 2, "learning_rate": 0.02},
            },
            examples=[Document(text=text, target=label, where=f"sample:{n}") for n, (text, label) in enumerate(texts)],
            lines=["a fine day", "bad", "I liked the film a lot, it is good and warm"],
            inputs=["a fine day", "bad", "a dull film"],
            goal=("accuracy", 1.0, 1.0),
        )
