"""The methods of word segmentation by name: how each is fitted on segmented lines and read back from a model."""

from collections.abc import Callable, Sequence

from seqloom.errors import ConfigError
from seqloom.systems.segmentation.config import StatisticsConfig
from seqloom.systems.segmentation.dictionary import Dictionary
from seqloom.systems.segmentation.feature_crf import FeatureCRF
from seqloom.systems.segmentation.hmm import HiddenMarkovModel
from seqloom.systems.segmentation.maximum_matching import MaximumMatching
from seqloom.systems.segmentation.method import WordSegmenter
from seqloom.systems.segmentation.shortest_path import BigramPaths, FewestWords, UnigramPaths

__all__ = ["DICTIONARY_METHODS", "NETWORK_METHODS", "dictionary_method", "fit", "restore"]

NETWORK_METHODS = ("blstm", "blstm-crf")

# Methods that need nothing but words and their counts, so every trained segmenter can run them as well.
DICTIONARY_METHODS = ("fmm", "bmm", "bimm", "fewest", "unigram")
