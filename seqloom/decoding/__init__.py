"""Decoding: from scores to sequences."""

from seqloom.decoding.crf import PAD_TAG, viterbi, viterbi_k_best

__all__ = ["PAD_TAG", "viterbi", "viterbi_k_best"]
