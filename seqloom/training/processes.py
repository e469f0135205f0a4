"""The processes of a run: Lightning Fabric for devices, precision and launching; our own exchange of gradients.

Fabric's distributed data parallel wrapper is not used. Its buckets change their layout after the first step, so that a
resumed run of more than two processes would add in another order than the run it continues; it cannot take an empty
share of a batch and weighs every share alike. One exchange after the backward pass has none of these limits, and models
of this size have little to overlap it with.
"""

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from seqloom.errors import ConfigError
from seqloom.learning.clipping import merge_rows
from seqloom.training.config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Processes"]

# The others wait for the first process while it evaluates, in a collective call: its limit bounds an evaluation.
_PATIENCE = timedelta(hours=6)


class Processes:
    """This process and its peers, as torchrun started them; without torchrun, this one alone."""

    def __init__(self, config: TrainingConfig) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1
        if config.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("training.device is 'cuda' but torch finds no GPU; use 'cpu' or 'auto'")
        self._mixed = config.precision != "32-true"
        self.fabric = self._launch(config)
        self.rank: int = self.fabric.global_rank
        self.device: torch.device = self.fabric.device

    def _launch(self, config: TrainingConfig) -> "Fabric":
        # Imported here because it costs 1.5 s, which predicting or reading a configuration should not pay.
        from lightning_fabric import Fabric
        from lightning_fabric.plugins.environments.lightning import LightningEnvironment
        from lightning_fabric.strategies.ddp import DDPStrategy

        if self.world == 1:
            environment = LightningEnvironment()  # else a cluster's variables would make Fabric look for peers
            fabric = Fabric(accelerator=config.device, devices=1, precision=config.precision, plugins=[environment])
        else:
            local = int(os.environ.get("LOCAL_WORLD_SIZE", self.world))
            strategy = DDPStrategy(timeout=_PATIENCE)
            fabric = Fabric(
                accelerator=config.device,
                devices=local,
                num_nodes=self.world // local,
                strategy=strategy,
                precision=config.precision,
            )
        fabric.launch()
        return fabric

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes, evaluates and talks."""
        return self.rank == 0

    def to_device(self, batch: Any) -> Any:
        """A batch on this process's device."""
        return batch if self.device.type == "cpu" else self.fabric.to_device(batch)

    def precision(self) -> AbstractContextManager[Any]:
        """Context of the forward pass."""
        return self.fabric.autocast() if self._mixed else nullcontext()

    def sum(self, *values: float) -> list[float]:
        """Each value summed over the processes, in float64."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(total)
        return [float(value) for value in total]

    def broadcast(self, value: Any) -> Any:
        """The first process's value."""
        return value if self.world == 1 else self.fabric.broadcast(value)

    def gather(self, tensor: Tensor) -> Tensor:
        """(...) tensors of one shape from every process as (world, ...)."""
        if self.world == 1:
            return tensor[None]
        here = tensor.to(self.device)
        everywhere = [torch.empty_like(here) for _ in range(self.world)]
        torch.distributed.all_gather(everywhere, here)
        return torch.stack(everywhere)

    def equalise(self, module: nn.Module) -> None:
        """Give every process the first one's parameters and buffers."""
        if self.world > 1:
            for tensor in [*module.parameters(), *module.buffers()]:
                torch.distributed.broadcast(tensor.detach(), src=0)

    @torch.no_grad()
    def add_gradients(self, dense: Iterable[nn.Parameter], tables: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its sum over the processes; a parameter that no process used keeps none."""
        if self.world == 1:
            return
        self._add_dense(list(dense))
        for table in tables:
            self._add_rows(table)

    def _add_dense(self, parameters: list[nn.Parameter]) -> None:
        if not parameters:
            return
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = torch.cat([used, *(part.reshape(-1) for part in parts)])
        torch.distributed.all_reduce(flat)
        used, *sums = torch.split_with_sizes(flat, [len(parameters), *(p.numel() for p in parameters)])
        for parameter, times, summed in zip(parameters, used.tolist(), sums, strict=True):
            parameter.grad = summed.view_as(parameter).to(parameter.dtype) if times else None

    def _add_rows(self, table: nn.Parameter) -> None:
        """Exchange (row, vector) pairs: as much as the batch touched, never the table."""
        if table.grad is None:
            rows = torch.zeros(0, dtype=torch.int64, device=self.device)
            vectors = table.new_zeros(0, table.shape[1])
        else:
            merged = merge_rows(table.grad)
            rows, vectors = merged.indices()[0], merged.values()
        counts = self.gather(torch.tensor([len(rows)], device=self.device)).flatten().tolist()
        missing = max(counts) - len(rows)
        every_row = self.gather(nn.functional.pad(rows, (0, missing)))
        every_vector = self.gather(nn.functional.pad(vectors, (0, 0, 0, missing)))
        # Cut and joined in the order of the ranks, so that the sum is the same in every process and on every run.
        joined = torch.cat([r[:n] for r, n in zip(every_row, counts, strict=True)])
        values = torch.cat([v[:n] for v, n in zip(every_vector, counts, strict=True)])
        pairs = torch.sparse_coo_tensor(joined[None], values, table.shape, check_invariants=False)
        table.grad = merge_rows(pairs) if len(joined) else None

    def close(self) -> None:
        """Leave the group of processes."""
        if self.world > 1 and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
