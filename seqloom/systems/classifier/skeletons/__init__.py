"""Skeletons: actions from the joints of a body."""
