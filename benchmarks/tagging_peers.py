"""Two taggers in plain PyTorch, built as NCRF++ (Yang & Zhang 2018) and flair (Akbik et al. 2019) build theirs.

Both have the features, the sizes and the weights of a seqloom tagger: embedding tables, a bidirectional LSTM over the
characters of each token, one over the sentence, a linear-chain CRF. They differ from it in how they compute: packed
sequences through ``nn.LSTM``, every token of a batch spelt anew, and a CRF whose forward and Viterbi recursions are loops
over time in Python. Where the packages do more work than this needs (a tensor for each token, a copy of each embedding),
the peers take the shorter way.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from seqloom.data.vocabulary import UNKNOWN
from seqloom.errors import ConfigError
from seqloom.layers.recurrent import Recurrent
from seqloom.systems.tagger.network import TaggerNetwork
from seqloom.systems.tagger.spelling import SpellingRecurrence
from seqloom.systems.tagger.tagger import Tagger
from seqloom.systems.tagger.token_features import FUNCTIONS, LONGEST_SPELLING, digits_as_zero

__all__ = ["PEERS", "FlairStyle", "NcrfStyle", "PeerTagger"]

Tokens = Sequence[str]


@dataclass(frozen=True)
class Instance:
    """A sentence as ids: (features, T) of its tokens, the characters of each, and (T,) tags."""

    features: list[list[int]]
    characters: list[list[int]]
    tags: list[int]


class Dictionaries:
    """What a seqloom tagger knows of tokens, as dictionaries that are asked a token at a time."""

    def __init__(self, tagger: Tagger) -> None:
        features = tagger.features
        if (
            features.characters is None
            or features.of_characters
            or set(features.tokens) != set(tagger.network.embeddings)
        ):
            raise ConfigError("the peers have features of words and their characters; model.features has others")
        self.functions = {name: FUNCTIONS[name] for name in features.tokens}
        self.values = {
            name: {value: int(known.vocabulary.lookup([value])[0]) for value in known.vocabulary.entries}
            for name, known in features.tokens.items()
        }
        alphabet = features.characters.entries
        ids, _ = features.characters.encode_batch(["".join(alphabet)])
        self.characters = dict(zip(alphabet, ids.tolist(), strict=True))
        self.zero_digits = features.zero_digits
        self.tags = list(tagger.tags.entries)
        self.tag_ids = {tag: number for number, tag in enumerate(self.tags)}

    def instance(self, tokens: Tokens, tags: Sequence[str] = ()) -> Instance:
        """The ids of a sentence."""
        if self.zero_digits:
            tokens = [digits_as_zero(token) for token in tokens]
        features = [
            [known.get(self.functions[name](token), UNKNOWN) for token in tokens] for name, known in self.values.items()
        ]
        characters = [[self.characters.get(one, UNKNOWN) for one in _shortened(token)] for token in tokens]
        return Instance(features, characters, [self.tag_ids[tag] for tag in tags])


class PeerTagger(nn.Module, ABC):
    """What both peers have in common: tables, LSTMs and scores, beginning with the weights of a seqloom tagger.

    Args:
        tagger: a tagger of one layer, with an LSTM over characters and a CRF.
    Raises:
        ConfigError: it is of another kind.
    """

    title: str

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        network, config = tagger.network, tagger.config
        if config.output != "crf" or config.layers != 1 or config.cell != "lstm" or not config.bidirectional:
            raise ConfigError("the peers have one bidirectional LSTM and a CRF; the configuration asks for others")
        if config.hidden_scores or network.sentence_scores is not None:
            raise ConfigError("the peers have neither hidden scores nor labels of sentences; switch them off")
        spelling = network.spelling
        if not isinstance(spelling, SpellingRecurrence):
            raise ConfigError(
                "the peers read characters with an LSTM; set model.features.characters and model.spelling"
            )
        self.dictionaries = Dictionaries(tagger)
        self.tables = nn.ModuleList(_table(network.embeddings[name].weight) for name in self.dictionaries.values)
        self.characters = _table(spelling.embedding.weight)
        self.spelling, self.encoder = _torch_lstm(spelling.recurrent), _torch_lstm(network.encoder)
        self.dropout_input, self.dropout_output = nn.Dropout(config.dropout_input), nn.Dropout(config.dropout_output)
        self.scores = nn.Linear(network.scores.in_features, network.scores.out_features)
        self.scores.load_state_dict(network.scores.state_dict())
        self.transitions = nn.Parameter(_with_borders(network))
        self.start, self.stop = network.crf.tags, network.crf.tags + 1

    @abstractmethod
    def loss(self, sentences: Sequence[Any]) -> Tensor:
        """Nats per sentence of what :meth:`prepare` made of training sentences."""

    @abstractmethod
    def prepare(self, sentences: Sequence[Tokens], tags: Sequence[Sequence[str]]) -> Sequence[Any]:
        """What the package makes of the training sentences once, before the first step."""

    @abstractmethod
    def decode(self, sentences: Sequence[Tokens]) -> list[list[str]]:
        """The tags of the sentences of one batch."""

    def predict(self, sentences: Sequence[Tokens], batch: int = 32) -> list[list[str]]:
        """The tags of sentences, in batches of like length."""
        self.eval()
        order = sorted(range(len(sentences)), key=lambda index: len(sentences[index]), reverse=True)
        found: list[list[str]] = [[] for _ in sentences]
        with torch.inference_mode():
            for begin in range(0, len(order), batch):
                some = order[begin : begin + batch]
                for index, tags in zip(some, self.decode([sentences[index] for index in some]), strict=True):
                    found[index] = tags
        self.train()
        return found

    def spell(self, words: Sequence[Sequence[int]]) -> Tensor:
        """(N, size) vectors of tokens from the last states of a packed LSTM over their characters."""
        lengths = torch.tensor([len(word) for word in words])
        padded = pad_sequence([torch.tensor(word) for word in words], batch_first=True)
        packed = pack_padded_sequence(self.characters(padded), lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.spelling(packed)
        return last.transpose(0, 1).flatten(1)

    def emissions(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, K + 2) scores from (B, T, D) vectors of tokens, longest sentence first; the borders have none."""
        packed = pack_padded_sequence(self.dropout_input(vectors), lengths, batch_first=True)
        encoded, _ = pad_packed_sequence(self.encoder(packed)[0], batch_first=True)
        return nn.functional.pad(self.scores(self.dropout_output(encoded)), (0, 2))


class NcrfStyle(PeerTagger):
    """Instances are ids from the beginning; a batch is padded, masked and spelt as a whole."""

    title = "NCRF++ style"

    def prepare(self, sentences: Sequence[Tokens], tags: Sequence[Sequence[str]]) -> list[Instance]:
        return [self.dictionaries.instance(*pair) for pair in zip(sentences, tags, strict=True)]

    def loss(self, sentences: Sequence[Instance]) -> Tensor:
        batch = sorted(sentences, key=lambda one: len(one.characters), reverse=True)
        emissions, mask = self._emissions(batch)
        tags = pad_sequence([torch.tensor(one.tags) for one in batch], batch_first=True)
        moves = self._moves(emissions)
        return (self._log_partition(moves, mask) - self._gold(moves, mask, tags)) / len(batch)

    def decode(self, sentences: Sequence[Tokens]) -> list[list[str]]:
        batch = [self.dictionaries.instance(tokens) for tokens in sentences]
        emissions, mask = self._emissions(batch)
        paths = self._viterbi(self._moves(emissions), mask).numpy()
        real, names = mask.numpy(), self.dictionaries.tags
        return [
            [names[paths[row][step]] for step in range(paths.shape[1]) if real[row][step]] for row in range(len(paths))
        ]

    def _emissions(self, batch: Sequence[Instance]) -> tuple[Tensor, Tensor]:
        lengths = torch.tensor([len(one.characters) for one in batch])
        mask = torch.arange(int(lengths[0])) < lengths[:, None]
        parts = [
            table(pad_sequence([torch.tensor(one.features[number]) for one in batch], batch_first=True))
            for number, table in enumerate(self.tables)
        ]
        spelt = self.spell([word for one in batch for word in one.characters])
        spelling = spelt.new_zeros(*mask.shape, spelt.shape[1])
        spelling[mask] = spelt
        return self.emissions(torch.cat([*parts, spelling], -1), lengths), mask

    def _moves(self, emissions: Tensor) -> Tensor:
        """(T, B, K + 2, K + 2) scores of going from a tag to a tag and being there."""
        return emissions.transpose(0, 1).unsqueeze(2) + self.transitions

    def _log_partition(self, moves: Tensor, mask: Tensor) -> Tensor:
        partition = moves[0, :, self.start]
        for step in range(1, len(moves)):
            reached = _log_sum_exp(moves[step] + partition.unsqueeze(2), 1)
            partition = torch.where(mask[:, step, None], reached, partition)
        return _log_sum_exp(partition.unsqueeze(2) + self.transitions, 1)[:, self.stop].sum()

    def _gold(self, moves: Tensor, mask: Tensor, tags: Tensor) -> Tensor:
        size = moves.shape[-1]
        before = torch.cat([torch.full_like(tags[:, :1], self.start), tags[:, :-1]], 1)
        flat = moves.flatten(2).gather(2, (before * size + tags).T.unsqueeze(2)).squeeze(2)
        last = tags.gather(1, mask.sum(1, keepdim=True) - 1).squeeze(1)
        return flat.masked_select(mask.T).sum() + self.transitions[last, self.stop].sum()

    def _viterbi(self, moves: Tensor, mask: Tensor) -> Tensor:
        best = moves[0, :, self.start]
        history, pointers = [best], []
        for step in range(1, len(moves)):
            best, pointer = (moves[step] + best.unsqueeze(2)).max(1)
            history.append(best)
            pointers.append(pointer.masked_fill(~mask[:, step, None], 0))
        last = mask.sum(1) - 1
        rows = torch.arange(len(mask))
        ends = (torch.stack(history)[last, rows].unsqueeze(2) + self.transitions).max(1).indices[:, self.stop]
        table = torch.stack([*pointers, torch.zeros_like(history[0], dtype=torch.long)])
        table[last, rows] = ends[:, None]  # where a sentence ends, every tag points to its last one
        pointer = torch.zeros_like(ends)
        steps = []
        for step in range(len(table) - 1, -1, -1):
            pointer = table[step].gather(1, pointer[:, None]).squeeze(1)
            steps.append(pointer)
        return torch.stack(steps[::-1], 1)


class FlairStyle(PeerTagger):
    """Sentences stay text, each embedding looks its tokens up, and the spelling runs a sentence at a time."""

    title = "flair style"

    def prepare(self, sentences: Sequence[Tokens], tags: Sequence[Sequence[str]]) -> list[tuple[Tokens, Sequence[str]]]:
        return list(zip(sentences, tags, strict=True))

    def loss(self, sentences: Sequence[tuple[Tokens, Sequence[str]]]) -> Tensor:
        batch = sorted(sentences, key=lambda pair: len(pair[0]), reverse=True)
        moves, lengths = self._moves([self.dictionaries.instance(*pair) for pair in batch])
        targets = [[self.dictionaries.tag_ids[tag] for tag in tags] for _, tags in batch]
        return (self._log_partition(moves, lengths) - self._gold(moves, lengths, targets)) / len(batch)

    def decode(self, sentences: Sequence[Tokens]) -> list[list[str]]:
        moves, lengths = self._moves([self.dictionaries.instance(tokens) for tokens in sentences])
        batch, longest, size = moves.shape[0], moves.shape[1], moves.shape[-1]
        scores = torch.zeros(batch, longest + 1, size)
        pointers = torch.full((batch, longest + 1, size), self.stop)
        for step in range(longest):
            going = sum(length > step for length in lengths)
            ending = [row for row, length in enumerate(lengths) if length == step + 1]
            if step == 0:
                scores[:going, 0], pointers[:going, 0] = moves[:going, 0, :, self.start], self.start
            else:
                scores[:going, step], pointers[:going, step] = torch.max(
                    moves[:going, step] + scores[:going, step - 1].unsqueeze(1), dim=2
                )
            if ending:
                best, tag = (scores[ending, step] + self.transitions[:, self.stop]).max(1)
                scores[ending, step + 1], pointers[ending, step + 1] = best[:, None], tag[:, None]
        decoded = torch.zeros(batch, longest + 1, dtype=torch.long)
        pointer = torch.full((batch, 1), self.stop)
        for step in reversed(range(longest + 1)):
            decoded[:, step] = pointers[:, step].gather(1, pointer).squeeze(1)
            pointer = decoded[:, step].unsqueeze(1)
        confidence = scores[:, :-1].softmax(2).max(2).values
        tagged = [
            [(self.dictionaries.tags[tag], sure.item()) for tag, sure in list(zip(tags, some, strict=True))[:length]]
            for tags, some, length in zip(decoded[:, 1:], confidence, lengths, strict=True)
        ]
        return [[tag for tag, _ in sentence] for sentence in tagged]

    def _moves(self, batch: Sequence[Instance]) -> tuple[Tensor, list[int]]:
        """(B, T, K + 2, K + 2) scores of being at a tag after a tag, and the lengths."""
        lengths = [len(one.characters) for one in batch]
        parts = []
        for number, table in enumerate(self.tables):
            found = table(torch.tensor(list(chain.from_iterable(one.features[number] for one in batch))))
            parts.append(pad_sequence(found.split(lengths), batch_first=True))
        parts.append(pad_sequence([self.spell(one.characters) for one in batch], batch_first=True))
        emissions = self.emissions(torch.cat(parts, -1), torch.tensor(lengths))
        return emissions.unsqueeze(3) + self.transitions.T, lengths

    def _log_partition(self, moves: Tensor, lengths: Sequence[int]) -> Tensor:
        reached = moves[:, 0, :, self.start]
        for step in range(1, moves.shape[1]):
            going = sum(length > step for length in lengths)
            now = _log_sum_exp(moves[:going, step] + reached[:going].unsqueeze(1), 2)
            reached = torch.cat([now, reached[going:]])
        return _log_sum_exp(reached + self.transitions[:, self.stop], 1).sum()

    def _gold(self, moves: Tensor, lengths: Sequence[int], targets: Sequence[Sequence[int]]) -> Tensor:
        size, longest = moves.shape[-1], moves.shape[1]
        padded = [list(tags) + [self.stop] * (longest - len(tags)) for tags in targets]
        indices = [
            [self.start + tags[0] * size] + [tags[step] + tags[step + 1] * size for step in range(longest - 1)]
            for tags in padded
        ]
        scores = moves.flatten(2).gather(2, torch.tensor(indices).unsqueeze(2))
        last = np.array([tags[length - 1] for tags, length in zip(padded, lengths, strict=True)])
        packed = pack_padded_sequence(scores, torch.tensor(lengths), batch_first=True)[0]
        return packed.sum() + self.transitions[torch.from_numpy(last), self.stop].sum()


PEERS: tuple[type[PeerTagger], ...] = (NcrfStyle, FlairStyle)


def _shortened(token: str) -> str:
    half = LONGEST_SPELLING // 2
    return token if len(token) <= LONGEST_SPELLING else token[:half] + token[-half:]


def _log_sum_exp(values: Tensor, dim: int) -> Tensor:
    """As both packages write it."""
    highest = values.max(dim, keepdim=True).values
    return highest.squeeze(dim) + torch.log(torch.sum(torch.exp(values - highest), dim))


def _table(weight: Tensor) -> nn.Embedding:
    return nn.Embedding.from_pretrained(weight.detach().clone(), freeze=False)


def _torch_lstm(layer: Recurrent) -> nn.LSTM:
    """An ``nn.LSTM`` with the weights of a layer, whose gates stand in the same order."""
    weights = layer.state_dict()
    hidden, inputs = weights["cells.0.weight_ifgo_h"].shape[1], weights["cells.0.weight_ifgo_x"].shape[1]
    lstm = nn.LSTM(inputs, hidden, batch_first=True, bidirectional=True)
    for number, suffix in enumerate(("", "_reverse")):
        cell = f"cells.{number}"
        for name, value in (
            ("weight_ih", weights[f"{cell}.weight_ifgo_x"]),
            ("weight_hh", weights[f"{cell}.weight_ifgo_h"]),
            ("bias_ih", weights[f"{cell}.bias_ifgo"]),
            ("bias_hh", torch.zeros_like(weights[f"{cell}.bias_ifgo"])),
        ):
            getattr(lstm, f"{name}_l0{suffix}").data.copy_(value)
        getattr(lstm, f"bias_hh_l0{suffix}").requires_grad_(False)  # two biases would learn at twice the rate
    return lstm


def _with_borders(network: TaggerNetwork) -> Tensor:
    """(K + 2, K + 2) transitions with a start and a stop tag behind the others, from the row's tag to the column's."""
    between, start, end = (part.detach() for part in network.crf.potentials())
    tags = len(start)
    transitions = torch.full((tags + 2, tags + 2), -10000.0)
    transitions[:tags, :tags], transitions[tags, :tags], transitions[:tags, tags + 1] = between, start, end
    return transitions
