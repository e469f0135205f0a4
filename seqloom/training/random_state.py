"""The states of all global random generators as tensors of fixed sizes: processes gather them, files hold them."""

import json
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["capture_random_state", "restore_random_state", "seed_everything"]

_JSON_BYTES = 9216  # 625 words of at most 10 digits with separators are below 8 kB


def seed_everything(seed: int) -> None:
    """Seed torch on every device, numpy's global generator and python's."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def capture_random_state(device: torch.device) -> dict[str, Tensor]:
    """uint8 tensors by generator: ``torch``, ``numpy``, ``python`` and, on a GPU, ``cuda``."""
    name, words, position, has_gauss, gauss = np.random.get_state(legacy=True)
    state = {
        "torch": torch.get_rng_state(),
        "numpy": _to_bytes([name, np.asarray(words).tolist(), position, has_gauss, gauss]),
        "python": _to_bytes(random.getstate()),
    }
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    return state


def restore_random_state(state: Mapping[str, Tensor], device: torch.device) -> None:
    """Set the generators to a captured state."""
    # Cloned: torch reads past the end of a tensor that begins inside its storage, as a row of a gathered state does.
    torch.set_rng_state(state["torch"].cpu().clone())
    np.random.set_state(tuple(_from_bytes(state["numpy"])))
    version, words, gauss = _from_bytes(state["python"])
    random.setstate((version, tuple(words), gauss))
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"].cpu().clone(), device)


def _to_bytes(value: Any) -> Tensor:
    # Blanks after a JSON value mean nothing: they bring every state to one size.
    return torch.frombuffer(bytearray(json.dumps(value).encode().ljust(_JSON_BYTES)), dtype=torch.uint8)


def _from_bytes(tensor: Tensor) -> Any:
    return json.loads(tensor.cpu().numpy().tobytes())
