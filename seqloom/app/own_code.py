"""``--import FILE``: a person's own cells on the command line.

A file that is named there is run as Python before the verb; it registers cells with :func:`seqloom.cells.register`, and
recipes, comparisons and models can then name them. Nothing else ever runs code: a model directory holds names and numbers.
"""

import importlib.util
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from seqloom.errors import ConfigError, SeqloomError

__all__ = ["ENVIRONMENT", "import_named_files", "take_imports"]

ENVIRONMENT = "SEQLOOM_IMPORT"
"""Where worker processes find the files."""


def take_imports(argv: Sequence[str]) -> list[str]:
    """The arguments without ``--import FILE``; the files are run, and noted for processes that are started later.

    Raises:
        ConfigError: no file is named, it is not there, or it fails; says in which line.

    >>> take_imports(["cells", "--json"])
    ['cells', '--json']
    """
    rest: list[str] = []
    files: list[str] = []
    arguments = iter(argv)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name != "--import":
            rest.append(argument)
            continue
        file = value if equals else next(arguments, "")
        if not file or file.startswith("--"):
            raise ConfigError("--import needs a Python file that registers cells with @seqloom.cells.register(name)")
        files.append(str(Path(file).resolve()))
    if files:
        os.environ[ENVIRONMENT] = os.pathsep.join([*filter(None, [os.environ.get(ENVIRONMENT)]), *files])
    import_named_files()
    return rest


def import_named_files() -> None:
    """Runs the files that are noted, each once."""
    for file in filter(None, os.environ.get(ENVIRONMENT, "").split(os.pathsep)):
        _run(Path(file))


def _run(path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"--import: {path} is not a file; expected Python that registers cells")
    if any(getattr(module, "__file__", None) == str(path) for module in list(sys.modules.values())):
        return
    name = path.stem if path.stem not in sys.modules else f"_own_{abs(hash(str(path))):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--import: {path} is not Python; expected a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SeqloomError:
        del sys.modules[name]
        raise
    except Exception as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        line = lines[-1] if lines else getattr(error, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        raise ConfigError(f"--import: {place}: {type(error).__name__}: {error}") from error
