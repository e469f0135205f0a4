"""Scores that more than one system uses, from NumPy arrays and counts alone."""
