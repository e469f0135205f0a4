"""Cells as fused kernels: lowering a step to a kernel program, running it in C++, and compiling its elementwise part."""
