"""The family of classifiers: a sequence of any kind in, one class, several classes or real values out."""
