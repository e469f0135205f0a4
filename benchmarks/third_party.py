"""Models of other packages before and after ``seqloom.accelerate``: the same results, and how much sooner.

    pip install 'seqloom[third-party]'
    python benchmarks/third_party.py [--threads 1] [--rounds 9] [--models tagger,language] [--json FILE]

The models are built by their packages' own classes, with random weights (nothing is downloaded), and copied; the copy is
accelerated. Both take turns, round after round, in one process; medians, and ratios (above 1: seqloom is faster). The
share is the part of the original's time that its recurrent layers take: more than that cannot be gained.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import torch
from machine import describe_machine, installed_versions, markdown_table
from recurrent import medians
from torch import Tensor, nn

import seqloom
import seqloom.nn

Run = Callable[[nn.Module], list[Tensor]]
"""Calls a model on the inputs of its subject: what it computed, the loss alone where it computes one."""


@dataclass(frozen=True)
class Subject:
    """A model, and one call of it."""

    title: str
    package: str
    build: Callable[[], tuple[nn.Module, Run]]
    trains: bool = True


def stanza_tagger() -> tuple[nn.Module, Run]:
    """Stanza's part-of-speech tagger with its character model, in its own default sizes; a batch of 50 sentences."""
    from stanza.models.pos.model import Tagger

    sizes = {
        "word_emb_dim": 75, "tag_emb_dim": 50, "char_emb_dim": 100, "transformed_dim": 125, "hidden_dim": 200,
        "deep_biaff_hidden_dim": 400, "composite_deep_biaff_hidden_dim": 100, "char_hidden_dim": 400,
        "num_layers": 2, "char_num_layers": 1, "dropout": 0.5, "word_dropout": 0.33, "rec_dropout": 0.0,
        "char_rec_dropout": 0.0, "char": True, "pretrain": False,
    }  # fmt: skip
    vocabulary = {"word": range(5000), "char": range(120), "upos": range(18), "xpos": range(50), "feats": range(60)}
    model = Tagger(sizes, vocabulary)
    for parameter in model.parameters():
        nn.init.uniform_(parameter, -0.08, 0.08)  # some classifiers begin at zero
    lengths = sorted(torch.randint(5, 40, (50,)).tolist(), reverse=True)
    total, longest = sum(lengths), lengths[0]
    words, tags = torch.randint(1, 5000, (50, longest)), torch.randint(1, 18, (50, longest))
    characters = sorted(torch.randint(1, 12, (total,)).tolist(), reverse=True)
    spelling, order = torch.randint(1, 120, (total, characters[0])), torch.randperm(total).tolist()

    def run(tagger: nn.Module) -> list[Tensor]:
        loss, tagged = tagger(words, None, spelling, None, [tags] * 3, None, order, lengths, characters, None)
        return [loss, *(column.float() for column in tagged)]

    return model, run


def stanza_language_model() -> tuple[nn.Module, Run]:
    """Stanza's character language model in its own sizes; 16 packed lines of up to 100 characters."""
    from stanza.models.common.char_model import CharacterLanguageModel

    sizes = {"char_emb_dim": 100, "char_hidden_dim": 1024, "char_num_layers": 1, "char_dropout": 0.05}
    model = CharacterLanguageModel({**sizes, "char_rec_dropout": 0.0}, {"char": range(200)})
    lengths = sorted(torch.randint(40, 101, (16,)).tolist(), reverse=True)
    characters = torch.randint(200, (16, lengths[0]))
    return model, lambda language: [language(characters, lengths)[2]]


def demucs_separator() -> tuple[nn.Module, Run]:
    """Demucs, the separator of music, with its bidirectional LSTM; a quarter of its channels, 3 seconds of stereo."""
    from demucs.demucs import Demucs

    model = Demucs(["drums", "bass", "other", "vocals"], channels=16, lstm_layers=2)
    music = torch.randn(1, 2, 3 * 44100)
    return model, lambda separator: [separator(music)]


class WordLanguageModel(nn.Module):
    """The model of PyTorch's word_language_model example: embedding, two LSTM layers, projection on the words."""

    def __init__(self, words: int = 10000, size: int = 200) -> None:
        super().__init__()
        self.encoder, self.drop = nn.Embedding(words, size), nn.Dropout(0.2)
        self.rnn, self.decoder = nn.LSTM(size, size, 2, dropout=0.2), nn.Linear(size, words)

    def forward(self, words: Tensor) -> Tensor:
        outputs, _ = self.rnn(self.drop(self.encoder(words)))
        result: Tensor = self.decoder(self.drop(outputs))
        return result


def word_language_model() -> tuple[nn.Module, Run]:
    """PyTorch's example in its own sizes: 20 columns of text, 35 words at a time."""
    words = torch.randint(10000, (35, 20))
    return WordLanguageModel(), lambda language: [language(words)]


SUBJECTS = {
    "tagger": Subject("part-of-speech tagger", "stanza", stanza_tagger),
    "language": Subject("character language model", "stanza", stanza_language_model),
    "separator": Subject("music separator", "demucs", demucs_separator),
    "words": Subject("word language model", "torch", word_language_model),
}


@dataclass(frozen=True)
class Result:
    """What a subject gave: milliseconds and ratios (torch's time over seqloom's), and the largest differences."""

    model: str
    package: str
    layers: int
    share: float
    difference: float
    gradient_difference: float
    forward_ms: float
    forward_ratio: float
    training_ms: float
    training_ratio: float


def measure(subject: Subject, rounds: int) -> Result:
    """Both models in turn; raises ``SystemExit`` where their results differ by more than 1e-5."""
    torch.manual_seed(0)
    torchs, run = subject.build()
    ours = seqloom.accelerate(copy.deepcopy(torchs))
    pair = {"torch": torchs, "seqloom": ours}
    for model in pair.values():
        model.eval()
    share = _recurrent_share(torchs, run)
    difference, gradient_difference = _differences(torchs, ours, run)
    if difference > 1e-5:
        raise SystemExit(f"{subject.title}: the accelerated model differs by {difference:.2g}; expected at most 1e-5")

    def infer(model: nn.Module) -> None:
        with torch.inference_mode():
            run(model)

    def train(model: nn.Module) -> None:
        model.zero_grad(set_to_none=True)
        _loss(run(model)).backward()

    forward = medians({name: (lambda model=model: infer(model)) for name, model in pair.items()}, rounds)
    for model in pair.values():
        model.train()
    training = medians({name: (lambda model=model: train(model)) for name, model in pair.items()}, rounds)
    return Result(
        model=subject.title,
        package=subject.package,
        layers=len(seqloom.nn.report(ours).swapped),
        share=share,
        difference=difference,
        gradient_difference=gradient_difference,
        forward_ms=1000 * forward["seqloom"],
        forward_ratio=forward["torch"] / forward["seqloom"],
        training_ms=1000 * training["seqloom"],
        training_ratio=training["torch"] / training["seqloom"],
    )


def _loss(results: list[Tensor]) -> Tensor:
    return results[0] if results[0].dim() == 0 else results[0].square().mean()


def _differences(torchs: nn.Module, ours: nn.Module, run: Run) -> tuple[float, float]:
    """The largest differences of the results, and of the gradients relative to each parameter's largest."""
    results, gradients = [], []
    for model in (torchs, ours):
        model.zero_grad(set_to_none=True)
        results.append(run(model))
        _loss(results[-1]).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    output = max(float((a - b).detach().abs().max()) for a, b in zip(*results, strict=True))
    pairs = list(zip(*gradients, strict=True))
    return output, max(float((a - b).abs().max() / a.abs().max().clamp(min=1e-12)) for a, b in pairs)


def _recurrent_share(model: nn.Module, run: Run) -> float:
    """The part of a call's time that is spent in recurrent layers, the median of five calls."""
    shares = []
    with torch.inference_mode(), _stopwatch(model) as spent:
        for _ in range(6):
            spent.clear()
            begin = time.perf_counter()
            run(model)
            shares.append(sum(spent) / (time.perf_counter() - begin))
    return sorted(shares[1:])[2]


@contextmanager
def _stopwatch(model: nn.Module) -> Iterator[list[float]]:
    """Collects the seconds of each call of a recurrent layer of the model."""
    spent, begun, hooks = list[float](), list[float](), []
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            hooks.append(module.register_forward_pre_hook(lambda *_: begun.append(time.perf_counter())))
            hooks.append(module.register_forward_hook(lambda *_: spent.append(time.perf_counter() - begun.pop())))
    yield spent
    for hook in hooks:
        hook.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--models", default=",".join(SUBJECTS), help=f"of {', '.join(SUBJECTS)}")
    parser.add_argument("--json", type=Path, help="also write the results there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    results = [measure(SUBJECTS[name], options.rounds) for name in options.models.split(",")]
    rows = [
        {
            "model": f"{found.model} ({found.package})",
            "recurrent share": f"{found.share:.0%}",
            "forward, ms": f"{found.forward_ms:.1f}",
            "faster": f"{found.forward_ratio:.2f}",
            "training, ms": f"{found.training_ms:.1f}",
            "faster ": f"{found.training_ratio:.2f}",
            "difference": f"{found.difference:.0e}",
            "of gradients": f"{found.gradient_difference:.0e}",
        }
        for found in results
    ]
    versions = installed_versions(["torch", *sorted({found.package for found in results} - {"torch"})])
    print(f"{date.today()}; {describe_machine()['processor']}; {versions}; {options.threads} threads\n")
    print(markdown_table(rows, left=["model"]))
    if options.json:
        options.json.write_text(json.dumps([asdict(found) for found in results], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
