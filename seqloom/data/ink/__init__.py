"""Ink: characters as the strokes of a pen, read from what people have, and the features of them that a network reads.

Once read, a character is a `Series` with the columns x, y, perhaps t, and pen_up, which is 1 at the last point of each stroke;
y grows upwards, whatever it did in the file.
"""
