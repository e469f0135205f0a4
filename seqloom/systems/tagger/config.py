"""What can be configured about a tagger. No torch here: the command line reads these to print its help."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from seqloom.layers.encoder_config import EncoderConfig
from seqloom.systems.config import FilesConfig
from seqloom.systems.tagger.baselines.config import Baseline, StatisticsConfig
from seqloom.training.config import TrainingConfig

__all__ = ["PURPOSE", "USAGE", "PredictOptions", "TaggerConfig", "TaggerDataConfig", "TaggerModelConfig"]

PURPOSE = "One tag for each token."
USAGE = "```\nseqloom predict MODEL FILE\n```\nFILE is read as the training data were, its tags left out or ignored."
"""What the card of a tagger says."""


def _default_features() -> dict[str, int]:
    return {"token": 100, "lowercase": 0, "shape": 16, "prefix2": 16, "suffix3": 32, "characters": 50}


@dataclass(frozen=True)
class TaggerModelConfig(EncoderConfig):
    """The network: embedded features, a recurrent encoder, a score per tag.

    The keys of the encoder are those of :class:`~seqloom.layers.encoder_config.EncoderConfig`.

    Args:
        features: feature name -> embedding size; 0 leaves the feature out. ``seqloom systems`` lists the features.
        embeddings: feature -> file of pretrained vectors of that size (word2vec or GloVe), such as
            ``--model.embeddings.token FILE``; pairs of characters are looked up as words of two. Only the vectors of
            training values are read and kept, and they are trained on with the rest.
        extra_vectors: so many of the first vectors of a file of words are kept too where training has not seen their
            words, which the model then knows; such files begin with the most frequent words.
        minimum_count: values of a feature seen less often in training share the unknown entry.
        pair_dropout: probability that any pair of neighbouring characters is read as unknown during training, so that
            the network does not lean on pairs that new words will not have.
        fold_digits: of sentences of characters, read every digit as 0 and every Latin letter as a.
        zero_digits: of other tokens, read every digit as 0.
        unknown_rate: probability that a value seen once is read as unknown during training, which trains that entry.
        word_dropout: alpha of the probability alpha / (alpha + count) that a token or its lower-case form is read as
            unknown during training, in the place of ``unknown_rate`` for these two; 0 switches it off.
        spelling: how the feature ``characters`` reads a token: the two final states of a bidirectional LSTM, or the
            maximum of a convolution over its characters.
        spelling_embedding: embedding size of a character of a spelling.
        spelling_width: characters that a filter of the convolution sees.
        spelling_dropout: dropout on the embedded characters of a spelling.
        hidden_scores: units of a tanh layer between the encoder and the scores; 0 leaves it out.
        sentence_label: ``auto`` also predicts a label for the whole sentence, such as an intent, where training sentences
            have one; ``off`` never does.
        output: ``crf`` scores whole tag sequences, ``softmax`` each token alone; both decode under legal transitions.
    """

    features: dict[str, int] = field(default_factory=_default_features)
    embeddings: dict[str, str] = field(default_factory=dict)
    extra_vectors: int = 0
    minimum_count: int = 1
    unknown_rate: float = 0.5
    word_dropout: float = 0.0
    pair_dropout: float = 0.0
    fold_digits: bool = False
    zero_digits: bool = False
    spelling: Literal["lstm", "cnn"] = "lstm"
    spelling_embedding: int = 25
    spelling_width: int = 3
    spelling_dropout: float = 0.0
    layers: int = 1
    arrangement: Literal["auto", "plain", "dilated", "block"] = "plain"
    bidirectional: bool = True
    dropout_input: float = 0.3
    dropout_output: float = 0.3
    hidden_scores: int = 0
    sentence_label: Literal["auto", "off"] = "auto"
    output: Literal["crf", "softmax"] = "crf"


@dataclass(frozen=True)
class TaggerDataConfig(FilesConfig):
    """Which data, and how they are read; the files are those of :class:`~seqloom.systems.config.FilesConfig`.

    Args:
        format: how files are read; ``auto`` recognises the format and says so.
        columns: of column files, which column holds what: 0 is the first, -1 the last.
        tag: of CoNLL-U files, the column of the tags, such as ``upos`` or ``xpos``.
        tokens: of JSON lines without tokens of their own: words and punctuation marks, or characters; ``joint`` reads
            tagged words as characters whose tags spell the words and their tags, as B-NN E-NN.
        scheme: of tags that spell spans; illegal transitions are then never predicted. Empty: recognised from the tags.
        convert: the scheme in which the model learns and predicts spans, such as ``bioes``. Empty: that of the file.
        on_misaligned: what to do with spans of JSON lines that begin or end inside a token.
        encoding: character encoding.
        whole: of JSON lines without tokens of their own, whether addresses of pages and mail, numbers with separators,
            sequences of emoji and the like are one token each.
    """

    format: Literal["auto", "columns", "conllu", "jsonl", "slashed", "aligned"] = "auto"
    columns: str = "text=0,tag=-1"
    tag: str = "upos"
    tokens: Literal["words", "characters", "joint"] = "words"
    scheme: str = ""
    convert: str = ""
    on_misaligned: Literal["error", "skip", "expand"] = "error"
    encoding: str = "utf-8"
    whole: bool = False


def _default_training() -> TrainingConfig:
    # "auto" is the F1 of spans where tags spell spans, and the accuracy of tags elsewhere.
    return TrainingConfig(learning_rate=0.002, schedule="linear", clip_norm=5.0, monitor="auto", mode="max")


@dataclass(frozen=True)
class TaggerConfig:
    """A tagger: method, data, network, training.

    Args:
        system: always ``tagger``.
        method: the network, or a method without one.
        data: which data, and how they are read.
        model: the network.
        statistics: settings of the methods without a network.
        training: the training of the network.
        baselines: methods without a network, fitted on the same data and scored on the same test beside the method.
    """

    system: Literal["tagger"] = "tagger"
    method: Literal["network", "most_frequent", "hmm", "crf"] = "network"
    data: TaggerDataConfig = field(default_factory=TaggerDataConfig)
    model: TaggerModelConfig = field(default_factory=TaggerModelConfig)
    statistics: StatisticsConfig = field(default_factory=StatisticsConfig)
    training: TrainingConfig = field(default_factory=_default_training)
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True)
class PredictOptions:
    """How files are tagged and written."""

    format: Annotated[
        Literal["native", "plain", "json", "inline", "html"],
        "the input's own format with tags put in, in the training file's scheme; 'token/tag' lines; JSON lines with "
        "offsets and probabilities; text with [LABEL spans] marked; or a page with coloured spans",
    ] = "native"
    nbest: Annotated[int, "how many taggings of each sentence, best first (plain, json and explain)"] = 1
    explain: Annotated[bool, "say for each sentence how its tags came about, as text or (--format json) JSON lines"] = (
        False
    )
    read_as: Annotated[
        Literal["auto", "columns", "conllu", "jsonl", "slashed", "segmented", "text", "plain"],
        "the format of the input; text is running text, whose words and punctuation marks are told apart",
    ] = "auto"
    columns: Annotated[
        str, "of column files, which column holds what, such as text=0,tag=3; without tag, one is added"
    ] = ""
    whole: Annotated[
        Literal["auto", "on", "off"],
        "keep addresses, numbers with separators, emoji sequences and the like together where text becomes words; auto "
        "does so unless the model was trained on text that was cut otherwise",
    ] = "auto"
