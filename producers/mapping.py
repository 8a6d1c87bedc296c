"""Mappings by name: how one department's form becomes events, as data (`mappings/*.toml`)."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from producers.apply import Mapped, apply
from producers.mapping_file import parse
from producers.readers import ENDINGS, Chunk, Layout
from producers.rules import Rules
from schemas.errors import InputError
from schemas.schemes import SubjectTables, subject_tables
from schemas.settings import Settings

__all__ = ["Mapped", "Mapping", "load", "load_file", "mappings", "path_of"]

_SHIPPED = Path(__file__).parent / "mappings"


@dataclass(frozen=True)
class Mapping:
    """One mapping, ready for use.

    Attributes:
        tables: whose codes are whose, from the reference folder that the settings name.
    """

    rules: Rules
    tables: SubjectTables

    @property
    def name(self) -> str:
        return self.rules.name

    @property
    def version(self) -> int:
        return self.rules.version

    @property
    def title_zh(self) -> str:
        return self.rules.title_zh

    @property
    def title_en(self) -> str:
        return self.rules.title_en

    @property
    def category(self) -> str:
        return self.rules.category

    @property
    def layout(self) -> Layout:
        return self.rules.layout

    @property
    def formats(self) -> tuple[str, ...]:
        """Endings of the files that it reads; each may have .gz behind it."""
        return ENDINGS

    def apply(self, chunk: Chunk) -> Mapped:
        """Events and refusals of a chunk; each of its rows is in one of them."""
        return apply(self.rules, chunk, self.tables)


def load(name: str, settings: Settings) -> Mapping:
    """A mapping by its name: of the folder that the settings name, else of the shipped ones.

    Raises:
        InputError: there is none of that name (the nearest is named), or its file says something impossible.
    """
    paths = _paths(settings)
    if name not in paths:
        near = difflib.get_close_matches(name, paths, n=1, cutoff=0.4)
        hint = f"; did you mean {near[0]}?" if near else "."
        raise InputError(f"unknown mapping {name}{hint} xinliu-adapter mappings lists them")
    return _read(name, paths[name], settings)


def path_of(name: str, settings: Settings) -> Path:
    """Where the mapping of a name lies; the name may be the path of its file."""
    return Path(name) if name.endswith(".toml") else _paths(settings).get(name, Path(f"{name}.toml"))


def mappings(settings: Settings) -> list[Mapping]:
    """All mappings, by name."""
    return [_read(name, path, settings) for name, path in sorted(_paths(settings).items())]


def _paths(settings: Settings) -> dict[str, Path]:
    folders = [_SHIPPED] if settings.mappings_dir is None else [_SHIPPED, settings.mappings_dir]
    # NAME.cases.toml may lie beside NAME.toml.
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml")) if "." not in path.stem}


def load_file(path: Path, settings: Settings) -> Mapping:
    """A mapping that lies anywhere; its name is that of its file."""
    return _read(path.stem, path, settings)


def _read(name: str, path: Path, settings: Settings) -> Mapping:
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"reading mapping {name}: {path} can not be read as UTF-8 text") from error
    return Mapping(parse(name, text), subject_tables(settings.reference_dir))
