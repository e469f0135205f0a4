"""What a model directory says about its making: the ``about`` entry of its configuration and ``card.md``."""

import platform
from collections.abc import Mapping
from typing import Any

import yaml

from seqloom import __version__

__all__ = ["about_training", "model_card"]


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
