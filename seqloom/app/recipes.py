"""``seqloom recipes``: lists the recipes that come with seqloom, and copies one so that a person can own and change it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from seqloom.app import configuration
from seqloom.app.command import parse
from seqloom.app.terminal import print_json, show, table
from seqloom.errors import ConfigError, did_you_mean

__all__ = ["SUMMARY", "Recipe", "copy_recipe", "recipes", "run"]

SUMMARY = "list the recipes, or copy one to own it"


@dataclass(frozen=True)
class Options:
    """Options of the verb."""

    copy: Annotated[str | None, "name of the recipe to copy into the current folder"] = None
    to: Annotated[Path | None, "file or folder to copy to; an existing file is never overwritten"] = None
    json: Annotated[bool, "print JSON"] = False

    def __post_init__(self) -> None:
        if self.to is not None and self.copy is None:
            raise ConfigError(f"--to {self.to} needs --copy NAME, the recipe to copy")


@dataclass(frozen=True)
class Recipe:
    """A shipped recipe; the description is the comment in its first line."""

    name: str
    system: str
    description: str
    path: str


def run(argv: list[str]) -> int:
    """Runs the verb; its options are those of ``seqloom recipes --help``."""
    options = parse(Options, argv, verb="recipes", summary=SUMMARY)
    if options.copy is not None:
        target = copy_recipe(options.copy, options.to)
        if options.json:
            print_json({"name": options.copy, "path": str(target)})
        else:
            show(f"wrote {target}; train it with: seqloom train {target} --data.train FILE --out RUN")
        return 0
    known = recipes()
    if options.json:
        print_json([asdict(recipe) for recipe in known])
    else:
        rows = [(recipe.name, recipe.system, recipe.description) for recipe in known]
        show(table(("recipe", "system", "what it trains"), rows))
    return 0


def recipes() -> list[Recipe]:
    """The shipped recipes by name."""
    return [_describe(path) for path in sorted(configuration.RECIPES.glob("*.yaml"))]


def copy_recipe(name: str, to: Path | None = None) -> Path:
    """Copies a shipped recipe to a file or into a folder (the current one by default); the path of the copy.

    Raises:
        ConfigError: there is no such recipe, the file exists already, or it cannot be written.
    """
    known = {recipe.name: recipe for recipe in recipes()}
    if name not in known:
        raise ConfigError(f"--copy: '{name}' is not a recipe{did_you_mean(name, known)} (seqloom recipes lists all)")
    target = to or Path()
    if target.is_dir():
        target = target / f"{name}.yaml"
    try:
        # Mode "x" refuses an existing file in the same act that creates the new one.
        with target.open("xb") as file:
            file.write(Path(known[name].path).read_bytes())
    except FileExistsError:
        raise ConfigError(f"{target} exists already and is not overwritten; choose another file with --to") from None
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}); choose another file with --to") from None
    return target


def _describe(path: Path) -> Recipe:
    text = path.read_text(encoding="utf-8")
    first = text.split("\n", 1)[0]
    description = first.lstrip("# ").rstrip() if first.startswith("#") else ""
    return Recipe(path.stem, configuration.system_of(path), description, str(path))
