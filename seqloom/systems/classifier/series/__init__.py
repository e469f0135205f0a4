"""Multivariate series: sensors, gestures, recordings of any kind; to a class, to several, or to real values."""
