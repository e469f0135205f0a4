"""Methods without a network, beside which a classifier is held."""
