"""A model directory: ``config.yaml``, ``weights.safetensors``, ``vocab/*.json`` and ``card.md``, saved and loaded with checks.

Reading one runs no code.
"""

from __future__ import annotations

import os
import platform
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import yaml

from seqloom import __version__
from seqloom.configuration import build
from seqloom.errors import ConfigError, ModelError, SeqloomError
from seqloom.outside import MISFITS, UnreadableError, first_line, parse_yaml, read_tensors, read_text

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from seqloom.systems.evaluation import Evaluation

__all__ = [
    "Contents",
    "ModelDirectory",
    "SavedModel",
    "about_training",
    "check_fit",
    "fill_model",
    "load_weights",
    "model_card",
    "read_config",
    "read_model",
    "weights_of",
    "write_model",
]

FORMAT = 1
WEIGHTS = "weights.safetensors"

Config = TypeVar("Config")


@dataclass(frozen=True)
class ModelDirectory:
    """What :func:`read_model` found: the configuration, the tensors, and where the vocabularies are."""

    path: Path
    config: dict[str, Any]
    tensors: dict[str, NDArray[Any]]

    @property
    def vocab(self) -> Path:
        """The folder of the vocabularies, which their own classes read."""
        return self.path / "vocab"

    def setting(self, name: str) -> Any:
        """A required entry of the configuration; ModelError where it is missing."""
        if name not in self.config:
            raise ModelError(f"{self.path / 'config.yaml'}: '{name}' is missing; the model directory is damaged")
        return self.config[name]

    def text(self, name: str) -> str:
        """A required text of the configuration; ModelError where it is missing or something else."""
        value = self.setting(name)
        if not isinstance(value, str):
            raise ModelError(f"{self.path / 'config.yaml'}: {name!r} is no text; the model directory is damaged")
        return value

    def section(self, name: str) -> dict[str, Any]:
        """An entry of the configuration that has entries; empty where it is missing, ModelError where it has none."""
        value = self.config.get(name) or {}
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise ModelError(f"{self.path / 'config.yaml'}: {name!r} is not a section; the model directory is damaged")
        return value

    def built(self, name: str, config_class: type[Config]) -> Config:
        """A required section of the configuration as its dataclass, checked key by key as that of a recipe.

        Raises:
            ModelError: a key is unknown, or a value is of the wrong type or out of range.
        """
        self.setting(name)
        try:
            return build(config_class, self.section(name))
        except ConfigError as error:
            where = self.path / "config.yaml"
            raise ModelError(f"{where}: {name!r} is damaged: {error}") from None

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Within it, what parts of the directory that do not fit together bring about is a ModelError."""
        try:
            yield
        except SeqloomError:
            raise
        except MISFITS as error:
            raise ModelError(
                f"{self.path}: the model directory is damaged: its parts do not fit together ({first_line(error)})"
            ) from error


def read_config(path: Path) -> dict[str, Any]:
    """The configuration alone, for a look at a model without its weights.

    Raises:
        ModelError: the directory is missing, foreign, damaged, or of a later format.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is not a model directory; a run keeps its model in RUN/model")
    file = path / "config.yaml"
    if not file.is_file():
        inner = path / "model" / "config.yaml"
        remedy = f"; did you mean {path / 'model'}?" if inner.is_file() else ""
        raise ModelError(f"{path} has no config.yaml, so it is no seqloom model{remedy}")
    try:
        config = parse_yaml(read_text(file, "YAML"))
    except UnreadableError as error:
        raise ModelError(f"{file} is not valid YAML; the model directory is damaged ({error.reason})") from None
    if not isinstance(config, dict) or "system" not in config or "format" not in config:
        remedy = f"; did you mean {path / 'model'}?" if (path / "model" / "config.yaml").is_file() else ""
        raise ModelError(f"{file} does not describe a seqloom model: no 'system' and 'format' entries{remedy}")
    if config["format"] != FORMAT:
        raise ModelError(
            f"{file}: format {config['format']!r}, but seqloom {__version__} reads format {FORMAT}; "
            "install the seqloom version that wrote it, or train again"
        )
    return config


def read_model(path: str | os.PathLike[str]) -> ModelDirectory:
    """Reads a model directory whole.

    Raises:
        ModelError: something is missing, damaged or foreign; the sentence names the file.
    """
    directory = Path(path)
    config = read_config(directory)
    weights = directory / WEIGHTS
    if not weights.is_file():
        raise ModelError(f"{weights} is missing; the model directory is damaged")
    try:
        return ModelDirectory(directory, config, read_tensors(weights))
    except UnreadableError as error:
        raise ModelError(f"{weights} cannot be read ({error.reason}); the file is damaged") from None


def fill_model(
    directory: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, NDArray[Any]],
    card: str,
    vocab: Callable[[Path], None],
) -> None:
    """Writes the files of a model into an existing, empty directory.

    Args:
        directory: where to.
        config: what ``config.yaml`` says beside the format and the version.
        tensors: the weights.
        card: the text of ``card.md``.
        vocab: writes the vocabularies into the folder that it is given.
    """
    import numpy as np
    from safetensors.numpy import save_file

    described = {"format": FORMAT, "seqloom": __version__, **config}
    text = yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=120)
    (directory / "config.yaml").write_text(text, encoding="utf-8")
    # What NumPy makes contiguous has at least one dimension; single numbers have none, and keep it.
    arrays = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in tensors.items()}
    save_file(arrays, directory / WEIGHTS)
    os.chmod(
        directory / "weights.safetensors", (directory / "config.yaml").stat().st_mode
    )  # safetensors makes it private
    (directory / "vocab").mkdir()
    vocab(directory / "vocab")
    (directory / "card.md").write_text(card, encoding="utf-8")


def write_model(path: str | os.PathLike[str], fill: Callable[[Path], None]) -> None:
    """Makes a model directory that ``fill`` writes, so that a reader finds the old one or the new one, never half of one.

    Raises:
        ModelError: something that is no model stands at the path, and would be lost.
    """
    target = Path(path)
    if target.exists() and not (target / "config.yaml").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ModelError(f"{target} exists and is no model directory; choose another place, nothing was overwritten")
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    fill(fresh)
    _replace(fresh, target)


@dataclass(frozen=True)
class Contents:
    """What a model keeps in its directory.

    Attributes:
        config: entries of ``config.yaml`` beside the format, the version, the system and ``about``.
        tensors: the weights by name.
        title, purpose, usage: of ``card.md``; the usage is Markdown.
        vocabularies: writes the vocabularies into the folder that it is given.
    """

    config: Mapping[str, Any]
    tensors: Mapping[str, NDArray[Any]]
    title: str
    purpose: str = ""
    usage: str = "```\nseqloom predict MODEL FILE\n```"
    vocabularies: Callable[[Path], None] = lambda folder: None


class SavedModel(ABC):
    """A model that a directory holds, whatever its system.

    Attributes:
        system: the name of its system.
        about: how it was made.
    """

    system: ClassVar[str]

    def __init__(self) -> None:
        self.about: dict[str, Any] = {}

    @abstractmethod
    def contents(self) -> Contents:
        """What its directory holds."""

    def fill(self, directory: Path) -> None:
        """Writes the files of the model into an existing, empty directory."""
        contents = self.contents()
        card = model_card(contents.title, contents.purpose, self.about, contents.usage)
        config = {"system": self.system, **contents.config, "about": self.about}
        fill_model(directory, config, contents.tensors, card, contents.vocabularies)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the model directory; a reader finds the old one or the new one, never half of one."""
        write_model(path, self.fill)

    def evaluate(self, data: Any) -> Evaluation:
        """The scores on data: a path of the system's formats, or examples in memory."""
        from seqloom.data.source import Source
        from seqloom.systems.registry import system

        own = system(self.system).create()
        evaluation: Evaluation = own.score(self, own.evaluation_examples(self, Source.of(data)))
        return evaluation


def weights_of(network: nn.Module) -> dict[str, NDArray[Any]]:
    """The weights of a network by name, as a model directory keeps them."""
    return {name: value.detach().cpu().numpy() for name, value in network.state_dict().items()}


def load_weights(network: nn.Module, directory: ModelDirectory) -> None:
    """Puts the weights of a directory into a network, which is then ready for evaluation.

    Raises:
        ModelError: a tensor is missing, has another shape or type, or holds what no training leaves.
    """
    import torch

    weights, expected = directory.path / WEIGHTS, network.state_dict()
    _check_shapes(network, directory)
    given = {name: torch.from_numpy(directory.tensors[name]) for name in expected}
    for name, tensor in expected.items():
        if tensor.is_floating_point() != given[name].is_floating_point():
            raise ModelError(f"{weights}: '{name}' is of the type {given[name].dtype}, expected {tensor.dtype}")
        if given[name].is_floating_point() and not bool(given[name].isfinite().all()):
            raise ModelError(
                f"{weights}: '{name}' holds NaN or infinity; the file is damaged, or the training diverged"
            )
    network.load_state_dict(given)
    network.eval()


def check_fit(directory: ModelDirectory, fresh: Callable[[], nn.Module]) -> None:
    """Compares the shapes of a directory's weights with those of its network before memory is taken for the network.

    Args:
        fresh: makes the network; here it is made without memory. Where one cannot be, :func:`load_weights` is the judge.
    Raises:
        ModelError: a tensor is missing or has another shape.
    """
    import torch

    try:
        with torch.device("meta"):
            network = fresh()
    except (NotImplementedError, RuntimeError):
        return
    _check_shapes(network, directory)


def _check_shapes(network: nn.Module, directory: ModelDirectory) -> None:
    weights = directory.path / WEIGHTS
    for name, tensor in network.state_dict().items():
        if name not in directory.tensors:
            raise ModelError(f"{weights}: the tensor '{name}' is missing; the model directory is damaged")
        shape = directory.tensors[name].shape
        if shape != tuple(tensor.shape):
            raise ModelError(
                f"{weights}: '{name}' has the shape {shape}, but the configuration needs {tuple(tensor.shape)}"
            )


# How a model was made -----------------------------------------------------------------------------------------------------


def about_training(command: str, seed: int, data: Mapping[str, Any]) -> dict[str, Any]:
    """How a model was made: command, seed, the data's files with checksums, and the versions of what computed it."""
    import numpy
    import torch

    return {
        "command": command,
        "seed": seed,
        "data": dict(data),
        "versions": {
            "seqloom": __version__,
            "torch": str(torch.__version__),
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
    }


def model_card(title: str, purpose: str, about: Mapping[str, Any], usage: str) -> str:
    """The text of ``card.md``: purpose, scores, data, command, use."""
    known = [(name, value) for name, value in about.get("scores", {}).items() if value is not None]
    rows = "\n".join(f"| {name} | {value:.4f} |" for name, value in known)
    scores = f"| metric | value |\n|---|---:|\n{rows}\n" if rows else "Not scored on a test set.\n"
    facts = yaml.safe_dump({key: about[key] for key in about if key != "scores"}, sort_keys=False, allow_unicode=True)
    return f"# {title}\n\n{purpose}\n\n## Scores\n\n{scores}\n## Training\n\n```yaml\n{facts}```\n\n## Use\n\n{usage}\n"


def _replace(fresh: Path, target: Path) -> None:
    """Puts a finished directory in the place of an old one, which stands aside until the new one is there."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(fresh, target)
    shutil.rmtree(old, ignore_errors=True)
