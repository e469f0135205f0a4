"""Tagging without a network: most frequent tag, hidden Markov model, conditional random field. Yardsticks and fallbacks."""
