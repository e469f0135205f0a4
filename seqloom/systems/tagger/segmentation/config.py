"""What can be configured about a word segmenter. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from seqloom.systems.config import FilesConfig
from seqloom.systems.crfsuite import FeatureCrfConfig
from seqloom.systems.tagger.config import TaggerModelConfig
from seqloom.training.config import TrainingConfig

__all__ = [
    "METHODS",
    "Method",
    "PredictOptions",
    "Priority",
    "SegmenterConfig",
    "SegmenterDataConfig",
    "StatisticsConfig",
]

Method = Literal["fmm", "bmm", "bimm", "fewest", "unigram", "bigram", "hmm", "crf", "blstm", "blstm-crf"]
METHODS = Method.__args__  # type: ignore[attr-defined]
Priority = Literal["prefer", "force"]


@dataclass(frozen=True)
class SegmenterDataConfig(FilesConfig):
    """Which segmented text, and how it is read; the files are those of :class:`~seqloom.systems.config.FilesConfig`.

    Args:
        format: ``segmented`` (words and spaces), ``slashed`` (word/tag), ``bmes`` (character and tag columns),
            ``conllu``, ``jsonl``, or ``auto``, which recognises the format.
        encoding: character encoding.
        fold_width: read full-width digits, letters and punctuation as half-width ones.
        maximum_length: longer sentences are cut at a comma, or at this many characters.
    """

    format: Literal["auto", "segmented", "slashed", "bmes", "conllu", "jsonl"] = "auto"
    encoding: str = "utf-8"
    fold_width: bool = True
    maximum_length: int = 200


@dataclass(frozen=True)
class StatisticsConfig(FeatureCrfConfig):
    """Settings of the methods without a network; those of the feature CRF are :class:`FeatureCrfConfig`'s.

    Args:
        delta: added to every word count of the unigram model.
        interpolation: weight of the bigram against the unigram probability.
    """

    delta: float = 0.1
    interpolation: float = 0.5


def _default_model() -> TaggerModelConfig:
    return TaggerModelConfig(
        features={"token": 64, "bigram_left": 50, "bigram_right": 50, "lexicon": 16}, fold_digits=True
    )


def _default_training() -> TrainingConfig:
    return TrainingConfig(learning_rate=0.004, schedule="linear", clip_norm=5.0, monitor="f1", mode="max")


@dataclass(frozen=True)
class SegmenterConfig:
    """A word segmenter: method, data, network, training.

    Args:
        system: always ``segmenter``.
        method: how words are found.
        data: which segmented text, and how it is read.
        model: the network of the ``blstm`` and ``blstm-crf`` methods.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods trained on the same text and scored on the same test beside the method itself.
        examples: sentences that the report shows segmented, with n best.
    """

    system: Literal["segmenter"] = "segmenter"
    method: Method = "blstm-crf"
    data: SegmenterDataConfig = field(default_factory=SegmenterDataConfig)
    model: TaggerModelConfig = field(default_factory=_default_model)
    statistics: StatisticsConfig = field(default_factory=StatisticsConfig)
    training: TrainingConfig = field(default_factory=_default_training)
    baselines: tuple[Method, ...] = ()
    examples: tuple[str, ...] = ("乒乓球拍卖了", "李国庆节日在加班", "我是中国人")


@dataclass(frozen=True)
class PredictOptions:
    """How raw text is segmented and written."""

    format: Annotated[
        Literal["plain", "json", "bmes", "native"],
        "words and spaces, JSON lines with offsets, or BMES columns; native is plain",
    ] = "plain"
    nbest: Annotated[int, "how many segmentations of each line, best first"] = 1
    method: Annotated[Method | None, "another method on the model's words, such as fmm; by default the model's own"] = (
        None
    )
    dict: Annotated[str | None, "a file of your own words: word [frequency] [tag]"] = None
    priority: Annotated[Priority, "whether your words are preferred over, or forced upon, other readings"] = "prefer"
    full: Annotated[bool, "print every dictionary word found in each line, overlapping or not"] = False
    keep_space: Annotated[bool, "keep the text's own whitespace, as words of its own"] = False
