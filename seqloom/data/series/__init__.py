"""Series of vectors with labels, as sensors record them: readers, what is wrong with data, features."""
