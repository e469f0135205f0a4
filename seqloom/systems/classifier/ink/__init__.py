"""Ink: characters from the trajectory of a pen."""
