"""Images read as sequences: their rows, columns or pixels."""
