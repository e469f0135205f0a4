"""The engine: the graph of one step, and the backends that run it over whole sequences.

Here lies what all of it speaks of: ``vocabulary`` (what a step may say), ``graph`` (a step as data), ``operations`` (the
functions that cells are written in), ``declaring`` (parameters of a step that symbols cannot follow), ``adjoint`` (the
gradient of each operation), ``interpreter`` (a graph on tensors), ``contract`` (what is asked of a cell), ``ragged``
(rows of different lengths, padded and packed). Around it are three rooms, each of which imports only those above it here:

``lowering``: from a step's graph to a program

=================  ====================================================================================================
``form``           what a kernel program is: stages of products and elementwise code, as plain data
``values``         the graph in which a value is one block of units
``blocks``         cuts a traced step into such values; takes out what does not depend on the state
``reverse``        adds the backward pass
``levels``         when a value can be computed, and when it is used first
``columns``        the order of columns in the gradient array
``memory``         the arrays of a program, and who reads them
``saving``         what the backward pass reads of the forward pass: kept, or computed again
``stages``         values to stages
``code``           writes the elementwise code of one stage
``lowering``       all of that, in order: ``lower(graph)``
``description``    a program in words
``written``        a program as text, for files and exported graphs
``tensor_program`` the other, simpler program: lists of torch's operations, for the ``derived`` backend
=================  ====================================================================================================

``codegen``: from elementwise code to a library

=================  ====================================================================================================
``emit``           a stage's code as C++
``built_in``       the code of common cells, compiled with the kernels
``toolchain``      the compiler of this machine, and how it is called
``libraries``      compiled libraries on disk and in the process
``compiler``       compiles in the background, and says when a stage is there
=================  ====================================================================================================

``runtime``: running it

=================  ====================================================================================================
``backend``        the door: ``run_layer`` chooses a backend and calls it
``reference``      a plain loop over ``step``
``derived``        a ``tensor_program`` step by step
``vendor``         torch's own kernels for the three cells that it has
``cpu``            the fused kernels: a cell's tensors gathered for its program
``torch_library``  a program as an operator of torch, and its autograd
``sequence``       memory and products around a program; the calls of the machine
``loaded``         a program in the machine, and the tensors that it runs on
``gradients``      from the machine's gradient array to the gradients of what went in
``recorded``       a program in torch's operations, for gradients of gradients
``native``         the C++ machine as this process has it
``packed``         cells whose weights are packed once: streams, fewer bits
=================  ====================================================================================================

The way of a step: ``Cell.step`` runs once on symbols (``graph.trace``); ``lowering.lower`` cuts it into blocks, adds the
backward pass, gives it memory and writes stages; ``native.load`` hands the program to the machine, with built-in or
cached code for its stages, and asks ``compiler`` for the rest. Then, each time that a layer is called: ``backend.run_layer``,
``cpu.run`` (packs the rows, gathers the tensors), ``torch_library.run`` (autograd), ``sequence.run_forward`` (memory, input
product) and the kernel.
"""

from seqloom.engine.contract import NO_NOISE, Noise, Ragged, SequenceCell, States
from seqloom.engine.graph import Graph, StepError, Symbol, trace
from seqloom.engine.interpreter import evaluate
from seqloom.engine.runtime.backend import BACKENDS, Choice, choose, measure_lengths, run_layer, run_sequence
from seqloom.engine.vocabulary import VocabularyError

__all__ = [
    "BACKENDS",
    "NO_NOISE",
    "Choice",
    "Graph",
    "Noise",
    "Ragged",
    "SequenceCell",
    "States",
    "StepError",
    "Symbol",
    "VocabularyError",
    "choose",
    "evaluate",
    "measure_lengths",
    "run_layer",
    "run_sequence",
    "trace",
]
