"""Texts with classes: tables, JSON lines, ``__label__`` lines, folders and files of a class."""
