"""Images with classes, read as series: a step for each row, each column or each pixel."""
