"""Cells compared on generated tasks: which trials, how each is trained, and what became of them."""
