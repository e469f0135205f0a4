"""Which sentences go together, and how they become one array.

A plan is a pure function of the lengths, the seed and the epoch. A run that stops in the middle of an epoch computes
the same plan again and goes on at the batch where it stopped; nothing has to be stored but the batch's number.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["batches", "evaluation_batches", "pad", "pad_rows", "restore_order"]

_Ids = NDArray[np.int64]
Item = TypeVar("Item")
Kind = TypeVar("Kind", bound=np.generic)


def batches(
    lengths: ArrayLike,
    *,
    sentences: int | None = None,
    tokens: int | None = None,
    seed: int = 0,
    epoch: int = 0,
    window: int = 50,
    shuffle: bool = True,
) -> list[_Ids]:
    """The batches of one epoch of training: every sentence once, sentences of like length together.

    The sentences are shuffled; windows of about ``window`` batches are sorted by length and cut; the batches are
    shuffled. Without ``shuffle`` the windows are taken in file order and the batches stay in theirs.

    Args:
        lengths: (N,) length of each sentence; zero is legal.
        sentences: the number of sentences of a batch, or
        tokens: the largest number of padded tokens of a batch, ``B * T_max``; exactly one of the two is given. A
            single sentence that is longer makes a batch of its own.
        window: how many batches are sorted together: more gives less padding, fewer more chance.
    Returns:
        Arrays of indices into ``lengths``. They depend on nothing but the arguments: not on NumPy's generators, the
        machine, or earlier calls.
    Raises:
        ValueError: not exactly one limit, or one below 1, or a negative length.

    >>> [batch.tolist() for batch in batches([5, 1, 4, 2], sentences=2, shuffle=False)]
    [[1, 3], [2, 0]]
    """
    sizes = _checked(lengths, sentences, tokens, window)
    if not sizes.size:
        return []
    order = _permutation(sizes.size, seed, 2 * epoch) if shuffle else np.arange(sizes.size)
    mean = max(float(sizes.mean()), 1.0)
    per_batch = sentences if sentences is not None else max(1, int((tokens or 1) / mean))
    width = window * per_batch
    plan = []
    for start in range(0, sizes.size, width):
        chunk = order[start : start + width]
        plan += _cut(chunk[np.argsort(sizes[chunk], kind="stable")], sizes, sentences, tokens)
    if shuffle:
        plan = [plan[index] for index in _permutation(len(plan), seed, 2 * epoch + 1)]
    return plan


def evaluation_batches(lengths: ArrayLike, *, sentences: int | None = None, tokens: int | None = None) -> list[_Ids]:
    """The batches for prediction: all sentences sorted by length, the longest first.

    The longest batch comes first so that too little memory shows at once. `restore_order` puts the results back.

    >>> [batch.tolist() for batch in evaluation_batches([5, 1, 4, 2], sentences=3)]
    [[0, 2, 3], [1]]
    """
    sizes = _checked(lengths, sentences, tokens, 1)
    order = np.argsort(-sizes, kind="stable")
    return _cut(order, sizes, sentences, tokens)


def restore_order(plan: Sequence[_Ids], results: Sequence[Sequence[Item]]) -> list[Item]:
    """The results of all batches, one per sentence, in the order that the sentences had.

    >>> restore_order([np.array([2, 0]), np.array([1])], [["c", "a"], ["b"]])
    ['a', 'b', 'c']
    """
    flat = [item for batch in results for item in batch]
    order = np.concatenate(plan) if len(plan) else np.zeros(0, np.int64)
    if len(flat) != order.size:
        raise ValueError(f"the plan has {order.size} sentences but there are {len(flat)} results")
    back = np.empty_like(order)
    back[order] = np.arange(order.size)
    return [flat[index] for index in back.tolist()]


def pad(rows: Sequence[NDArray[Kind]], value: float = 0) -> tuple[NDArray[Kind], _Ids]:
    """Rows of shape (T_b, ...) as one array (B, T_max, ...), ``value`` behind each row's end, and their lengths (B,).

    Raises ValueError where there are no rows.

    >>> pad([np.array([1, 2]), np.array([3])], value=9)[0].tolist()
    [[1, 2], [3, 9]]
    """
    if not len(rows):
        raise ValueError("there are no rows to pad; expected at least one")
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    padded = np.full((len(rows), int(lengths.max()), *rows[0].shape[1:]), value, rows[0].dtype)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(rows)
    return padded, lengths


def pad_rows(flat: NDArray[Kind], offsets: _Ids, rows: ArrayLike, value: float = 0) -> tuple[NDArray[Kind], _Ids]:
    """Some rows of a flat batch as one array: `pad` of ``flat[offsets[r] : offsets[r + 1]]``, in one gather.

    Args:
        flat: (N, ...) the rows end to end.
        offsets: (R + 1,) where each begins.
        rows: (B,) which ones, in this order.
    Returns:
        (B, T_max, ...) and lengths (B,).
    """
    chosen = np.asarray(rows, np.int64)
    starts = offsets[chosen]
    lengths = offsets[chosen + 1] - starts
    steps = np.arange(int(lengths.max(initial=0)))
    inside = steps < lengths[:, None]
    padded = np.full((*inside.shape, *flat.shape[1:]), value, flat.dtype)
    padded[inside] = flat[(starts[:, None] + steps)[inside]]
    return padded, lengths


def _checked(lengths: ArrayLike, sentences: int | None, tokens: int | None, window: int) -> _Ids:
    if (sentences is None) == (tokens is None):
        raise ValueError(f"give one of sentences and tokens as the size of a batch; found {sentences} and {tokens}")
    for name, limit in (("sentences", sentences), ("tokens", tokens), ("window", window)):
        if limit is not None and limit < 1:
            raise ValueError(f"{name} is {limit}; expected at least 1")
    sizes = np.asarray(lengths, np.int64).reshape(-1)
    if (sizes < 0).any():
        index = int(np.flatnonzero(sizes < 0)[0])
        raise ValueError(f"lengths[{index}] is {sizes[index]}; expected 0 or more")
    return sizes


def _cut(order: _Ids, sizes: _Ids, sentences: int | None, tokens: int | None) -> list[_Ids]:
    """Cut an order that is sorted by length, either way."""
    if sentences is not None:
        return [order[start : start + sentences] for start in range(0, order.size, sentences)]
    limit = tokens or 1
    ascending = order.size < 2 or sizes[order[0]] <= sizes[order[-1]]
    ordered = sizes[order].tolist()
    plan, start = [], 0
    while start < order.size:
        if ascending:  # the padded size grows with the end, so the end is found by bisection
            end = bisect_right(
                range(start + 1, order.size + 1), limit, key=lambda stop: (stop - start) * ordered[stop - 1]
            )
            end = start + max(end, 1)
        else:
            end = start + max(1, limit // max(ordered[start], 1))
        plan.append(order[start:end])
        start = end
    return plan


def _permutation(size: int, seed: int, stream: int) -> _Ids:
    """A permutation that depends on its arguments alone: the order of splitmix64's values (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        key = _mix(np.array([seed], np.int64).astype(np.uint64)) + np.uint64(stream)
        values = _mix(_mix(key) + np.arange(size, dtype=np.int64).astype(np.uint64))
    return np.argsort(values, kind="stable")


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = (values + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
