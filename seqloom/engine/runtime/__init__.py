"""Running steps over whole sequences: the backends, and the machine that executes programs; the map is one room up."""
