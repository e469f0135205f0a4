"""Skeletons: the joints of a moving body, read from what people have, and the features of them that a network reads.

Once read, a sequence is a `Series` of J * C columns: the C coordinates of the first joint, then those of the second. What the
joints are called, which is whose parent, and which make an arm or a leg is a `Skeleton`.
"""
