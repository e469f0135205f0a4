"""A tagger's training and prediction beside the same tagger in plain PyTorch, built as NCRF++ and as flair build theirs.

    SEQLOOM_DATA=FOLDER python benchmarks/tagging.py [--rounds 9] [--threads 2] [--json F] [--markdown F]

The recipe ``ner`` on CoNLL-2003, or on files of your own with keys such as ``--data.train F --data.test F``. All three
begin with the same weights, which the benchmark checks: the same loss, the same tags. Then they take turns, round after
round, the first of a round changing: a block of training steps on the same batches, then the tags of the same sentences,
from text to text. Of each round the ratio of the times counts.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe_machine, installed_versions, markdown_table, publish, shown_command, without_folder
from tagging_peers import PEERS, PeerTagger
from torch.nn.utils import clip_grad_norm_

from seqloom.app.configuration import configure
from seqloom.data.tagged.sentences import Sentence
from seqloom.errors import ConfigError
from seqloom.systems.supervised import SupervisedTask
from seqloom.systems.tagger.config import TaggerConfig
from seqloom.systems.tagger.encoding import EncodedCorpus
from seqloom.systems.tagger.system import TaggerSystem
from seqloom.systems.tagger.tagger import Tagger
from seqloom.systems.train import network_task
from seqloom.training.optimiser import build_optimiser
from seqloom.training.processes import Processes
from seqloom.training.random_state import seed_everything
from seqloom.training.run_state import RunState
from seqloom.training.updates import Updates

FILES = {"train": "eng.train.xz", "dev": "eng.testa.xz", "test": "eng.testb.xz"}
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
CHECKED = 64  # sentences on which the three have to agree before they are timed


@dataclass
class Contestant:
    """A tagger: ``train`` takes so many steps and gives the mean loss, ``predict`` tags sentences."""

    name: str
    train: Callable[[int], float]
    predict: Callable[[Sequence[Sequence[str]]], list[list[str]]]


def parse_options(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[str]]:
    """The options, checked, and the keys of the recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,  # --training.epochs belongs to the recipe
    )
    add = parser.add_argument
    add("--rounds", type=int, default=9, help="timed rounds")
    add("--steps", type=int, default=20, help="training steps of a round")
    add("--sentences", type=int, default=1000, help="sentences to tag in a round")
    add("--threads", type=int, default=2, help="threads of torch")
    add("--json", type=Path, help="write all figures here")
    add("--markdown", type=Path, help="write what is printed here as well")
    options, keys = parser.parse_known_args(arguments)
    for name in ("rounds", "steps", "sentences", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} is {getattr(options, name)}; expected 1 or more")
    return options, keys


def configuration(keys: Sequence[str]) -> TaggerConfig:
    """The recipe ``ner`` with these keys put in; files that are not named are those of the folder ner-conll2003.

    Raises:
        ConfigError: a key is wrong, or a file is missing.
    """
    config: TaggerConfig = configure("ner", keys)[1]
    if config.model.embeddings:
        raise ConfigError("the peers have no pretrained vectors; leave model.embeddings out")
    # The peers hide no words in training, so that all three see the same.
    config = replace(config, model=replace(config.model, word_dropout=0.0, unknown_rate=0.0))
    found: dict[str, Any] = {}
    for role, name in FILES.items():
        if getattr(config.data, role) is None and (role != "dev" or config.data.train is None):
            path = Path(environ.get("SEQLOOM_DATA", "")) / "ner-conll2003" / name
            if "SEQLOOM_DATA" not in environ or not path.is_file():
                where = f"{path} does not exist" if "SEQLOOM_DATA" in environ else "SEQLOOM_DATA is not set"
                raise ConfigError(
                    f"there is no {role} file: {where}; let SEQLOOM_DATA name the folder that holds ner-conll2003/{name}, "
                    f"or give --data.{role} FILE"
                )
            found[role] = str(path)
    return replace(config, data=replace(config.data, **found))


def seqloom_contestant(tagger: Tagger, task: SupervisedTask, config: TaggerConfig) -> Contestant:
    """The tagger in the training loop's own steps."""
    seed_everything(config.training.seed)
    task.module.train()
    optimiser = build_optimiser(task.module, config.training)
    steps = Updates(task, config.training, optimiser, Processes(config.training), RunState())

    def train(count: int) -> float:
        taken = [steps.take() for _ in range(count)]
        return sum(step.total for step in taken) / sum(step.weight for step in taken)

    return Contestant("seqloom", train, tagger.predict)


def peer_contestant(
    peer: PeerTagger, prepared: Sequence[Any], batches: Iterator[Any], config: TaggerConfig
) -> Contestant:
    """A peer on the same batches, with the same optimiser as torch has it."""
    optimiser = OPTIMISERS[config.training.optimiser](peer.parameters(), lr=config.training.learning_rate)
    limit = config.training.clip_norm

    def train(count: int) -> float:
        losses, weight = 0.0, 0
        for _ in range(count):
            indices = next(batches)
            optimiser.zero_grad()
            loss = peer.loss([prepared[index] for index in indices])
            loss.backward()  # type: ignore[no-untyped-call]
            if limit:
                clip_grad_norm_(peer.parameters(), limit)
            optimiser.step()
            losses, weight = losses + loss.item() * len(indices), weight + len(indices)
        return losses / weight

    return Contestant(peer.title, train, peer.predict)


def check_agreement(tagger: Tagger, peer: PeerTagger, sentences: Sequence[Sentence]) -> None:
    """Both give the same loss and the same tags before they are trained.

    Raises:
        SystemExit: they do not, and there is nothing to compare.
    """
    tokens, tags = [one.tokens for one in sentences], [one.tags or () for one in sentences]
    targets = np.concatenate([tagger.tags.lookup_sentence(one) for one in sentences])
    batch = EncodedCorpus(tagger.features, tokens, targets).batch(np.arange(len(sentences)))
    tagger.network.eval()
    peer.eval()
    with torch.no_grad():
        ours, theirs = float(tagger.network(batch)), float(peer.loss(peer.prepare(tokens, tags)))
    if abs(ours - theirs) > 1e-4 * abs(ours):
        raise SystemExit(f"{peer.title}: its loss is {theirs}, seqloom's {ours}; they are not the same tagger")
    if peer.predict(tokens) != tagger.predict(tokens):
        raise SystemExit(f"{peer.title}: its tags differ from seqloom's; they are not the same tagger")
    tagger.network.train()
    peer.train()


def race(
    contestants: Sequence[Contestant], options: argparse.Namespace, test: Sequence[Sentence]
) -> list[dict[str, Any]]:
    """Seconds of each contestant, round by round, in training and in prediction, and its mean loss of the round."""
    tokens = [one.tokens for one in test[: options.sentences]]
    rounds = []
    for number in range(options.rounds + 1):
        turn = number % len(contestants)
        found: dict[str, Any] = {}
        for one in [*contestants[turn:], *contestants[:turn]]:
            begin = time.perf_counter()
            loss = one.train(options.steps)
            middle = time.perf_counter()
            one.predict(tokens)
            found[one.name] = {"training": middle - begin, "prediction": time.perf_counter() - middle, "loss": loss}
        if number:  # the first round warms up
            rounds.append(found)
        losses = ", ".join(f"{name} {values['loss']:.2f}" for name, values in sorted(found.items()))
        print(f"round {number} of {options.rounds}: loss {losses}", file=sys.stderr)
    return rounds


def summarise(rounds: Sequence[dict[str, Any]], tokens: dict[str, Sequence[int]]) -> dict[str, Any]:
    """Tokens a second of each contestant, and how many times seqloom's speed is its.

    Args:
        rounds: by contestant, the seconds of ``training`` and ``prediction``.
        tokens: of these two, the tokens of each round.
    """
    summary: dict[str, Any] = {}
    for kind, counts in tokens.items():
        summary[kind] = {}
        for name in sorted(rounds[0], key=lambda name: name != "seqloom"):
            ratios = [found[name][kind] / found["seqloom"][kind] for found in rounds]
            summary[kind][name] = {
                "tokens_per_second": statistics.median(
                    count / found[name][kind] for count, found in zip(counts, rounds, strict=True)
                ),
                "ratio": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }
    return summary


def measure(options: argparse.Namespace, keys: Sequence[str]) -> dict[str, Any]:
    """All figures, and everything that they depend on."""
    config = configuration(keys)
    config = replace(config, training=replace(config.training, threads=options.threads))
    if config.training.optimiser not in OPTIMISERS or not config.training.batch_size:
        raise ConfigError(
            "the peers train with adam or sgd, in batches of sentences; the configuration asks for others"
        )
    data = TaggerSystem().splits(config, {})
    tagger, task = network_task(TaggerSystem(), config, data, {})
    tokens, tags = [one.tokens for one in data.train], [one.tags or () for one in data.train]
    plan = [description[2] for epoch in range(config.training.epochs) for description in task.plan(epoch)]
    steps = (options.rounds + 1) * options.steps
    if len(plan) < steps:
        raise ConfigError(
            f"the rounds take {steps} steps, and the recipe has {len(plan)}; take fewer --rounds or --steps"
        )
    peers = [kind(tagger) for kind in PEERS]
    for peer in peers:
        check_agreement(tagger, peer, data.train[:CHECKED])
    contestants = [
        seqloom_contestant(tagger, task, config),
        *(peer_contestant(peer, peer.prepare(tokens, tags), iter(plan), config) for peer in peers),
    ]
    rounds = race(contestants, options, data.test)
    lengths = np.array([len(sentence) for sentence in tokens])
    trained = [
        int(sum(lengths[indices].sum() for indices in plan[begin : begin + options.steps]))
        for begin in range(options.steps, steps, options.steps)
    ]
    predicted = sum(len(one.tokens) for one in data.test[: options.sentences])
    return {
        "command": shown_command(),
        "date": date.today().isoformat(),
        "machine": describe_machine(),
        "versions": installed_versions(("seqloom", "torch", "numpy")),
        "threads": options.threads,
        "seed": config.training.seed,
        "batch_size": config.training.batch_size,
        "tags": len(tagger.tags),
        "parameters": sum(value.numel() for value in tagger.network.parameters()),
        "data": {role: {**made, "file": without_folder(made["file"])} for role, made in data.sources.items()},
        "tokens": {"training": trained, "prediction": predicted},
        "summary": summarise(rounds, {"training": trained, "prediction": [predicted] * len(rounds)}),
        "rounds": rounds,
    }


def to_markdown(report: dict[str, Any]) -> str:
    """The report as a page."""
    rows = []
    for name in report["summary"]["training"]:
        row = {"tagger": name}
        for kind in ("training", "prediction"):
            found = report["summary"][kind][name]
            row[f"{kind}, tokens/s"] = f"{found['tokens_per_second']:,.0f}"
            ratio = f"{found['ratio']:.2f} ({found['lowest']:.2f} to {found['highest']:.2f})"
            row[f"ratio in {kind}"] = "1" if name == "seqloom" else ratio
        rows.append(row)
    machine = report["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    return (
        f"`{report['command']}`\n\n{report['date']}; {machine['processor']}, {machine['cores']} cores, {machine['system']}; "
        f"{versions}; {report['threads']} threads; seed {report['seed']}. Batches of {report['batch_size']} sentences in "
        f"training, {report['tags']} tags, {report['parameters']:,} parameters; {report['tokens']['prediction']:,} tokens in "
        f"prediction, from text to text. Medians of {len(report['rounds'])} rounds, with the lowest and the highest ratio "
        f"of a round: how many times seqloom's speed is the peer's.\n\n{markdown_table(rows, left=['tagger'])}\n"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options, keys = parse_options(arguments)
    torch.set_num_threads(options.threads)
    return publish(options, lambda: measure(options, keys), to_markdown)


if __name__ == "__main__":
    sys.exit(main())
