"""A checkpoint: all tensors of a run and a JSON header in one safetensors file, replaced atomically, checked when read.

No pickle: reading one never runs code. The header lies in the file's metadata: tensors and counters cannot part.
"""

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from seqloom.errors import ModelError

__all__ = ["PARTIAL", "read_checkpoint", "sync_directory", "write_checkpoint"]

FORMAT = "seqloom checkpoint 1"
PARTIAL = ".partial"


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any], also: Path | None = None
) -> None:
    """Replace ``path`` (and ``also``, with the same content) by a new checkpoint.

    Killed at any moment, each path holds either its old or its new content, whole; ``also`` is replaced first.

    Args:
        path: the file; its directory exists.
        tensors: by name; on any device.
        header: JSON-able.
        also: a second name for the same content, which costs no second copy where the file system has hard links.
    """
    stored = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    text = json.dumps(header, sort_keys=True)
    partial = path.with_name(path.name + PARTIAL)
    save_file(stored, partial, {"format": FORMAT, "header": text, "checksum": str(_checksum(stored, text))})
    _sync(partial)
    if also is not None:
        twin = also.with_name(also.name + PARTIAL)
        twin.unlink(missing_ok=True)
        try:
            os.link(partial, twin)
        except OSError:  # a file system without hard links
            shutil.copyfile(partial, twin)
            _sync(twin)
        os.replace(twin, also)
    os.replace(partial, path)
    sync_directory(path.parent)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors (on the CPU) and the header of a checkpoint.

    Raises:
        ModelError: the file is missing, truncated, damaged, or not a checkpoint of this version.
    """
    remedy = "restore it from a copy, or train into a new directory"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            # Cloned: a view into the file is not aligned as a fresh tensor is, which can change the last bits of sums.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such checkpoint") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: the checkpoint is damaged or incomplete ({error}); {remedy}") from None
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path}: not a checkpoint of this version (format {metadata.get('format')!r}, expected {FORMAT!r})"
        )
    text = metadata.get("header", "")
    if metadata.get("checksum") != str(_checksum(tensors, text)):
        raise ModelError(f"{path}: the checkpoint is damaged (its checksum does not fit its content); {remedy}")
    header: dict[str, Any] = json.loads(text)
    return tensors, header


def sync_directory(directory: Path) -> None:
    """Make renames within a directory survive a power failure, where the system can."""
    if os.name == "posix":
        _sync(directory)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checksum(tensors: Mapping[str, Tensor], text: str) -> int:
    """CRC-32 of header, names, shapes and contents, about 1 GB/s; safetensors itself notices truncation but no flipped bit."""
    value = zlib.crc32(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        value = zlib.crc32(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), value)
        if tensor.numel():
            value = zlib.crc32(tensor.reshape(-1).view(torch.uint8).numpy().data, value)
    return value
