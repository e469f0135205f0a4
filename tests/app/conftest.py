"""The file is a kind of data of a person's own, which the tests load by name."""

collect_ignore = ["pulse_kind.py"]
