"""What an answer rests on: integrated gradients, occlusion and attention over the steps of a sequence or the words of a text."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seqloom.data.labelled import Labelled
from seqloom.errors import ConfigError
from seqloom.layers.read_outs import Attention
from seqloom.systems.classifier.answers import Values
from seqloom.systems.classifier.config import PredictOptions
from seqloom.systems.classifier.model import AnyClassifier, ClassifierModel, decided
from seqloom.systems.classifier.network import ClassifierBatch, ClassifierNetwork
from seqloom.systems.supervised import evaluating

__all__ = ["Explanation", "Method", "explain", "explained"]

Method = Literal["gradients", "occlusion", "attention"]

_POINTS = 32
"""Of the path that integrated gradients follow."""
_WINDOWS = 40
"""Into which occlusion divides a long sequence."""
_SHADES = " .:-=+*#"


@dataclass(frozen=True)
class Explanation:
    """How much each step spoke for an answer, and against it.

    Attributes:
        answer: the class.
        probability: of it.
        method: of the weights.
        weights: (T,) of the steps. ``gradients``: their sum is the score of the class less that of a sequence of zeros;
            ``occlusion``: what the probability falls by without the step; ``attention``: positive, with the sum 1.
        tokens: (T,) the words, of texts.
        sentences: of documents in sentences, the weight and the words' weights of each.
    """

    answer: str
    probability: float
    method: Method
    weights: NDArray[np.float64]
    tokens: Sequence[str] = ()
    sentences: Sequence[tuple[float, NDArray[np.float64], Sequence[str]]] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        said: dict[str, Any] = {
            "answer": self.answer,
            "probability": round(self.probability, 4),
            "method": self.method,
            "weights": [round(float(one), 6) for one in self.weights],
        }
        if len(self.tokens):
            said["tokens"] = list(self.tokens)
        if self.sentences:
            said["sentences"] = [
                {
                    "weight": round(weight, 6),
                    "words": [
                        {"t": token, "w": round(float(one), 6)} for token, one in zip(tokens, words, strict=True)
                    ],
                }
                for weight, words, tokens in self.sentences
            ]
        return said


def explain(model: ClassifierModel, examples: Sequence[Labelled], method: Method = "gradients") -> list[Explanation]:
    """What the answers to some examples rest on.

    ``gradients`` are integrated along the straight way from zeros (Sundararajan et al. 2017); ``occlusion`` leaves out stretches
    of the sequence, one after the other; ``attention`` is that of the read-out.

    Raises:
        ConfigError: the model answers with real values, or has no attention.
    """
    if isinstance(model.answer, Values):
        raise ConfigError("only answers that are classes can be explained; this model answers with real values")
    if method == "attention" and not isinstance(model.network.head.read_out, Attention):
        raise ConfigError("this model has no attention; explain it by gradients or by occlusion")
    return [_one(model, example, method) for example in examples]


def explained(model: AnyClassifier, examples: Iterable[Labelled], options: PredictOptions) -> Iterator[str]:
    """Explanations as text, JSON lines, or a page."""
    if not isinstance(model, ClassifierModel):
        raise ConfigError("--explain: only a network explains its answers; leave the option out")
    if options.explain == "html":
        yield _PAGE_START
    for example in examples:
        # Attention by sentences shows more; where there is none, gradients say most.
        hierarchical = getattr(model.network.front, "word_weights", None) is not None
        attended = hierarchical and isinstance(model.network.head.read_out, Attention)
        found = _one(model, example, "attention" if attended else "gradients")
        if options.explain == "json":
            yield json.dumps(found.to_dict(), ensure_ascii=False)
        elif options.explain == "html":
            yield _drawn(found)
        else:
            yield from _lines(found)
    if options.explain == "html":
        yield "</body></html>"


def _one(model: ClassifierModel, example: Labelled, method: Method) -> Explanation:
    network, corpus = model.network, model.inputs.corpus([example])
    batch = corpus.batch(np.array([0]))
    with evaluating(network):
        found = model.answer.decide(network.scores(batch))[0]
    label = int(found.argmax())
    name = decided(model.answer, found.numpy()) if model.answer.kind == "class" else model.answer.names[label]
    tokens = _tokens(model, example, int(batch.lengths[0]))
    sentences: Sequence[tuple[float, NDArray[np.float64], Sequence[str]]] = ()
    if method == "attention":
        weights = _attention(network, batch)
        sentences = _in_sentences(model, example, batch, weights)
    elif method == "occlusion":
        weights = _occlusion(model, batch, label)
    else:
        weights = _gradients(network, batch, label)
    return Explanation(str(name), float(found[label]), method, weights, tokens, sentences)


def _tokens(model: ClassifierModel, example: Labelled, length: int) -> Sequence[str]:
    tokens_of = getattr(model.inputs, "tokens_of", None)
    tokens: Sequence[str] = tokens_of(example) if tokens_of is not None else ()
    return tokens if len(tokens) == length else ()


def _from_front(network: ClassifierNetwork, vectors: Tensor, lengths: Tensor) -> Tensor:
    encoded = network.encoder(vectors, lengths=lengths)[0]
    scores: Tensor = network.head(encoded, lengths)
    return scores


def _gradients(network: ClassifierNetwork, batch: ClassifierBatch, label: int) -> NDArray[np.float64]:
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            vectors = network.front(batch)
        # Middles of equal parts of the way: the error falls with the square of their number.
        places = (torch.arange(_POINTS, dtype=vectors.dtype) + 0.5) / _POINTS
        path = (places[:, None, None] * vectors).requires_grad_(True)
        scores = _from_front(network, path, batch.lengths.expand(_POINTS))
        (slopes,) = torch.autograd.grad(scores[:, label].sum(), path)
    finally:
        network.train(training)
    weights: NDArray[np.float64] = (slopes.mean(0) * vectors[0]).sum(-1).double().numpy()
    return weights


def _occlusion(model: ClassifierModel, batch: ClassifierBatch, label: int) -> NDArray[np.float64]:
    network, length = model.network, int(batch.lengths[0])
    width = max(1, -(-length // _WINDOWS))
    starts = list(range(0, length, width))
    with evaluating(network):
        vectors = network.front(batch)
        hidden = vectors.repeat(len(starts) + 1, 1, 1)
        for row, start in enumerate(starts):
            hidden[row, start : start + width] = 0.0
        scores = _from_front(network, hidden, batch.lengths.expand(len(hidden)))
        found = model.answer.decide(scores)[:, label].double().numpy()
    falls = found[-1] - found[:-1]
    return np.repeat(falls, width)[:length]


def _attention(network: ClassifierNetwork, batch: ClassifierBatch) -> NDArray[np.float64]:
    read_out = network.head.read_out
    assert isinstance(read_out, Attention)
    with evaluating(network):
        weights: NDArray[np.float64] = read_out.weights(network.encode(batch), batch.lengths)[0].double().numpy()
    return weights


def _in_sentences(
    model: ClassifierModel, example: Labelled, batch: ClassifierBatch, weights: NDArray[np.float64]
) -> Sequence[tuple[float, NDArray[np.float64], Sequence[str]]]:
    word_weights = getattr(model.network.front, "word_weights", None)
    sentences_of = getattr(model.inputs, "sentences_of", None)
    if word_weights is None or sentences_of is None:
        return ()
    with evaluating(model.network):
        words = word_weights(batch).double().numpy()
    texts = sentences_of(example)
    return [
        (float(weight), row[: len(tokens)], tokens)
        for weight, row, tokens in zip(weights[: len(texts)], words, texts, strict=False)
    ]


# As text and as a page -------------------------------------------------------------------------------------------------------


def _lines(found: Explanation) -> Iterator[str]:
    yield f"{found.answer} {found.probability:.4f} ({found.method})"
    if found.sentences:
        for weight, words, tokens in found.sentences:
            marked = " ".join(
                f"{token}({one:.2f})" if one >= 0.1 else token for token, one in zip(tokens, words, strict=True)
            )
            yield f"  {weight:5.3f}  {marked}"
        return
    if found.tokens:
        greatest = float(np.abs(found.weights).max()) or 1.0
        yield "  " + " ".join(
            f"{token}({one / greatest:+.1f})" if abs(one) >= 0.2 * greatest else token
            for token, one in zip(found.tokens, found.weights, strict=True)
        )
        return
    greatest = float(np.abs(found.weights).max()) or 1.0
    shades = (np.abs(found.weights) / greatest * (len(_SHADES) - 1)).round().astype(int)
    yield "  |" + "".join(_SHADES[shade] for shade in shades[:200]) + "|"


_PAGE_START = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Explanations</title><style>
body{font:16px/1.6 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
section{border-top:1px solid #ccc;padding:.6rem 0}p{margin:.1rem 0}
.bar{display:inline-block;width:1rem;height:1rem;margin-right:.6rem;vertical-align:-2px}
</style></head><body>"""


def _drawn(found: Explanation) -> str:
    """One section: words, or bars of steps, in shades of blue for the answer and of red against it."""
    head = f"<h2>{html.escape(found.answer)} <small>{found.probability:.3f}, {found.method}</small></h2>"
    if found.sentences:
        rows = []
        for weight, words, tokens in found.sentences:
            # Important words of unimportant sentences stay visible (Yang et al. 2016, section 3.4).
            root = weight**0.5
            spans = " ".join(
                _span(token, root * float(one), "37,99,235") for token, one in zip(tokens, words, strict=True)
            )
            bar = f'<span class="bar" style="background:rgba(220,38,38,{min(1.0, weight * 2):.3f})"></span>'
            rows.append(f'<p title="sentence weight {weight:.3f}">{bar}{spans}</p>')
        return f"<section>{head}{''.join(rows)}</section>"
    greatest = float(np.abs(found.weights).max()) or 1.0
    shares = found.weights / greatest
    if found.tokens:
        spans = " ".join(
            _span(token, abs(float(one)), "37,99,235" if one > 0 else "220,38,38")
            for token, one in zip(found.tokens, shares, strict=True)
        )
        return f"<section>{head}<p>{spans}</p></section>"
    wide = 800 / max(1, len(shares))
    bars = "".join(
        f'<rect x="{index * wide:.2f}" y="{40 - 40 * max(0.0, float(one)):.2f}" width="{wide:.2f}" '
        f'height="{40 * abs(float(one)):.2f}" fill="{"#2563eb" if one > 0 else "#dc2626"}"/>'
        for index, one in enumerate(shares)
    )
    return f'<section>{head}<svg viewBox="0 0 800 80" width="100%" height="80" role="img">{bars}</svg></section>'


def _span(token: str, strength: float, colour: str) -> str:
    shown = html.escape(token)
    return f'<span style="background:rgba({colour},{min(1.0, strength):.3f})" title="{strength:.3f}">{shown}</span>'
