"""``seqloom convert``: data in another format, or in another form of the same format."""

import sys

from seqloom.app.kind_options import parse_for_kind
from seqloom.app.terminal import write_pieces
from seqloom.data.kinds import convertible

__all__ = ["SUMMARY", "run"]

SUMMARY = "write data in another format"


def run(argv: list[str]) -> int:
    """Writes the data to standard output, and what was read to standard error.

    Raises:
        DataError: the data are wrong, or cannot be written in this form.
        ConfigError: an option is wrong.
    """
    kind, options = parse_for_kind(
        argv,
        verb="convert",
        summary=SUMMARY,
        kinds=convertible(),
        describe=lambda kind: (kind.convert_options, kind.convert_summary),
    )
    write_pieces(kind.convert(options, lambda line: print(line, file=sys.stderr)))
    return 0
