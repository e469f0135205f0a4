"""From the elementwise code of a stage to C++, and from there to a library; the map is one room up."""
