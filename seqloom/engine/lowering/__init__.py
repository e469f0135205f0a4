"""From the graph of a step to a kernel program; the map is one room up."""
