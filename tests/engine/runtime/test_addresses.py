"""Every place where an address crosses the binding takes tensors whose numbers lie as they read, and refuses all others."""

import inspect
import re

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

import seqloom
from seqloom.engine.runtime import native

pytestmark = pytest.mark.skipif(not native.available(), reason="the kernels were not built")

kernels = native.kernels() if native.available() else None
ROWS, UNITS, FEATURES = 3, 4, 5


def good(rows=ROWS, columns=UNITS):
    return torch.arange(1.0, 1.0 + rows * columns).view(rows, columns)


def stream():
    layer = seqloom.Recurrent("rnn", FEATURES, UNITS)
    return layer.stream(batch=ROWS)._native


def direction(**other):
    empty = {"rows": [], "vectors": [], "matrices": [], "states": [], "arrays": []}
    return kernels.Direction(turned=False, linear=kernels.Place(good()), **{**empty, **other})


def weights(**other):
    return kernels.CellWeights(
        **{"features": FEATURES, "weight": good(), "bias": None, "matrices": [], "vectors": [], **other}
    )


def packed_direction(**other):
    return kernels.PackedDirection(
        **{"output": kernels.Place(good()), "leaves": [], "initial": [], "final": [], **other}
    )


def pushed(x=None, out=None):
    x = torch.zeros(ROWS, 2, FEATURES).numpy() if x is None else x
    stream().push(x, np.zeros((ROWS, 2, UNITS), np.float32) if out is None else out, 2)


def made(array=None, tensor=None):
    own = np.zeros((ROWS, UNITS), np.float32)
    cells = [seqloom.engine.runtime.packed.pack(seqloom.Recurrent("rnn", FEATURES, UNITS).cells[0], steps=True).machine]
    tensor = torch.from_numpy(own) if tensor is None else tensor
    kernels.Stream(cells, ROWS, False, 1, own if array is None else array, tensor)


PLACES = {  # by rows: those whose rows may lie apart; whole: those that must be contiguous
    "Place.tensor": ("rows", lambda t: kernels.Place(t)),
    "StateMemory.tensor": ("rows", lambda t: kernels.StateMemory(t, column=0, history=True, initial=good())),
    "StateMemory.initial": ("whole", lambda t: kernels.StateMemory(good(), column=0, history=True, initial=t)),
    "StateMemory.final": ("whole", lambda t: kernels.StateMemory(good(), 0, True, good(), final=t)),
    "Direction.rows": ("rows", lambda t: direction(rows=[t])),
    "Direction.vectors": ("whole", lambda t: direction(vectors=[t])),
    "Direction.matrices": ("rows", lambda t: direction(matrices=[t])),
    "Direction.arrays": ("whole", lambda t: direction(arrays=[t])),
    "Direction.carries": ("whole", lambda t: direction(carries=[t])),
    "Direction.vector_gradients": ("whole", lambda t: direction(vector_gradients=[t])),
    "CellWeights.weight": ("rows", lambda t: weights(weight=t)),
    "CellWeights.bias": ("whole", lambda t: weights(bias=t)),
    "CellWeights.matrices": ("rows", lambda t: weights(matrices=[t])),
    "CellWeights.vectors": ("whole", lambda t: weights(vectors=[t])),
    "PackedDirection.leaves": ("rows", lambda t: packed_direction(leaves=[t])),
    "PackedDirection.initial": ("whole", lambda t: packed_direction(initial=[t])),
    "PackedDirection.final": ("whole", lambda t: packed_direction(final=[t])),
    "Stream.read_state.tensor": ("rows", lambda t: stream().read_state(0, 0, t)),
    "Stream.write_state.tensor": ("rows", lambda t: stream().write_state(0, 0, t)),
}
INTEGERS = {
    "Batch.counts": lambda t: kernels.Batch(time=3, rows=4, counts=t),
    "Batch.starts": lambda t: kernels.Batch(time=3, rows=4, starts=t),
}
ARRAYS = {  # these take arrays and tensors
    "Stream.step.x": lambda t: stream().step(t),
    "Stream.step.out": lambda t: stream().step(torch.zeros(ROWS, FEATURES), t),
    "Stream.push.x": lambda t: pushed(x=t),
    "Stream.push.out": lambda t: pushed(out=t),
    "Stream.array": lambda t: made(array=t),
}
NO_ADDRESSES = {"Direction.states", "Stream.tensor"}  # structs; and what results are cloned from


def test_no_place_is_forgotten():
    found = set()
    for name, kind in inspect.getmembers(kernels, inspect.isclass):
        for method, function in inspect.getmembers(kind):
            for signature, *_ in getattr(function, "__nb_signature__", ()):
                if method == "__new__":
                    continue
                title = name if method == "__init__" else f"{name}.{method}"
                found |= {f"{title}.{argument}" for argument in re.findall(r"(\w+): object\b", signature)}
    assert found == PLACES.keys() | INTEGERS.keys() | ARRAYS.keys() | NO_ADDRESSES


REFUSALS = (ValueError, TypeError, RuntimeError, NotImplementedError, BufferError, IndexError)


class Wrapper(torch.Tensor):
    """Has a shape and a type, and its numbers elsewhere."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype, strides=inner.stride())

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise NotImplementedError(f"nothing is known of {function}")


def fake(tensor):
    with FakeTensorMode():
        return torch.empty(tensor.shape, dtype=tensor.dtype)


def freed(tensor):
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(0)
    return tensor


FOREIGN = {
    "float64": lambda t: t.double(),
    "bfloat16": lambda t: t.bfloat16(),
    "half": lambda t: t.half(),
    "int32": lambda t: t.int(),
    "bool": lambda t: t.bool(),
    "complex": lambda t: t.to(torch.complex64),
    "conjugated": lambda t: t.to(torch.complex64).conj(),
    "imaginary": lambda t: torch.complex(t.float(), t.float()).conj().imag,
    "negated": lambda t: torch._neg_view(t),
    "meta": lambda t: t.to("meta"),
    "fake": fake,
    "freed": freed,
    "sparse": lambda t: t.to_sparse(),
    "compressed": lambda t: t.to_sparse_csr(),
    "wrapped": Wrapper,
    "quantised": lambda t: torch.quantize_per_tensor(t.float(), 0.1, 0, torch.qint8),
    "a number": lambda t: t.sum(),
    "a list": lambda t: t.tolist(),
    "text": lambda t: "text",
    "an object": lambda t: object(),
}


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("place", [*PLACES, *INTEGERS])
@pytest.mark.filterwarnings("ignore")
def test_a_tensor_whose_numbers_are_elsewhere_or_otherwise_is_refused(place, what):
    take = PLACES[place][1] if place in PLACES else INTEGERS[place]
    tensor = good() if place in PLACES else torch.arange(12).view(3, 4)
    take(tensor)
    if what == "a number" and (place in INTEGERS or PLACES[place][0] == "whole"):
        pytest.skip("one number lies as it reads")
    with pytest.raises(REFUSALS, match=r"\w+ \w+"):
        take(FOREIGN[what](tensor))


@pytest.mark.parametrize("place", [*PLACES, *INTEGERS])
def test_a_tensor_that_vmap_splits_is_refused(place):
    take = PLACES[place][1] if place in PLACES else INTEGERS[place]
    tensor = good() if place in PLACES else torch.arange(12).view(3, 4)

    def one(value):
        take(value)
        return value

    with pytest.raises((ValueError, RuntimeError), match=r"\w+ \w+"):
        torch.func.vmap(one)(torch.stack([tensor, tensor]))


GAPS = {
    "transposed": lambda t: t.t().contiguous().t(),
    "every other": lambda t: torch.repeat_interleave(t, 2, -1)[:, ::2],
    "one column": lambda t: t[:, :1].expand_as(t),
}
ROWS_APART = {
    "rows of a wider one": lambda t: torch.cat([t, t], 1)[:, : t.shape[1]],
    "every other row": lambda t: torch.repeat_interleave(t, 2, 0)[::2],
}


@pytest.mark.parametrize("gap", [*GAPS, *ROWS_APART])
@pytest.mark.parametrize("place", [*PLACES, *INTEGERS])
def test_gaps_are_refused_where_they_are_not_expected(place, gap):
    kind, take = PLACES.get(place) or ("whole", INTEGERS[place])
    tensor = good() if place in PLACES else torch.arange(12).view(3, 4)
    strided = {**GAPS, **ROWS_APART}[gap](tensor)
    if kind == "rows" and gap in ROWS_APART:
        take(strided)
        return
    with pytest.raises(ValueError, match="with gaps between"):
        take(strided)


@pytest.mark.parametrize("place", ["StateMemory.tensor", "Stream.read_state.tensor"])
def test_rows_that_are_one_and_the_same_are_not_written(place):
    with pytest.raises(ValueError, match="whose rows share memory"):
        PLACES[place][1](good()[:1].expand(ROWS, UNITS))


def test_more_than_two_dimensions_lie_in_one_piece():
    kernels.Place(torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match="with gaps"):
        kernels.Place(torch.zeros(2, 6, 4)[:, ::2])


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("place", ARRAYS)
@pytest.mark.filterwarnings("ignore")
def test_an_array_that_is_not_one_of_float32_is_refused(place, what):
    shapes = {
        "Stream.step.x": (ROWS, FEATURES),
        "Stream.push.x": (ROWS, 2, FEATURES),
        "Stream.push.out": (ROWS, 2, UNITS),
    }
    tensor = torch.ones(shapes.get(place, (ROWS, UNITS)))
    taken = place in ("Stream.step.x", "Stream.step.out", "Stream.array")
    if what in ("negated", "imaginary") and place == "Stream.step.x":
        native_stream = stream()
        found = torch.zeros(ROWS, UNITS), torch.zeros(ROWS, UNITS)
        for state, values in zip(found, (FOREIGN[what](tensor), FOREIGN[what](tensor).resolve_neg()), strict=True):
            native_stream.write_state(0, 0, torch.zeros(ROWS, UNITS))
            native_stream.step(values)
            native_stream.read_state(0, 0, state)
        assert torch.equal(*found)
        return
    with pytest.raises(REFUSALS, match=r"\w+ \w+"):
        ARRAYS[place](FOREIGN[what](tensor))
    ARRAYS[place](tensor if taken and place != "Stream.array" else tensor.numpy())


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((ROWS, 2, FEATURES), np.int32),
        np.zeros((ROWS, 2, FEATURES), ">f4"),
        np.zeros((ROWS, 3, FEATURES), np.float32),
        np.zeros((ROWS + 1, 2, FEATURES), np.float32),
        np.zeros((ROWS, 2, FEATURES + 1), np.float32),
        np.zeros((ROWS, 2, 2 * FEATURES), np.float32)[:, :, ::2],
        np.zeros(ROWS * 2 * FEATURES, np.float32),
        np.ndarray((ROWS, 2, FEATURES), np.float32, bytearray(1000), strides=(82, 41, 4)),
    ],
    ids=["int32", "big-endian", "longer", "more rows", "wider", "gaps", "flat", "unaligned"],
)
def test_some_steps_at_once_are_an_array_of_the_right_shape(array):
    with pytest.raises(ValueError, match=r"no array \(3, 2, 5\) of float32"):
        pushed(x=array)


def test_what_must_not_be_written_is_not_written():
    out = np.zeros((ROWS, 2, UNITS), np.float32)
    out.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        pushed(out=out)
    with pytest.raises(ValueError, match="the output has gaps between its units or rows"):
        made(array=np.zeros((ROWS, 2 * UNITS), np.float32)[:, ::2])
    single = np.zeros((ROWS, UNITS), np.float32)
    single.flags.writeable = False
    with pytest.raises(ValueError, match="out is no writable array"):
        stream().step(np.zeros((ROWS, FEATURES), np.float32), single)
