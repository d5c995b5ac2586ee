"""Parquet tables of a run, with fixed columns and types; each is written atomically."""

from collections.abc import Collection, Mapping
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from camray.adapters.run_folders.run_folder import how_to_write
from camray.domain.errors import PipelineError


def write_table(path: Path, table: pd.DataFrame, columns: Mapping[str, str]) -> None:
    """Write a Parquet table with exactly these columns and types, atomically.

    Raises
    ------
    PipelineError
        If columns are missing or too many, or a value does not fit its type.
    """
    if list(table.columns) != list(columns):
        raise PipelineError(f"{path.name}: columns {list(table.columns)}, expected {list(columns)}")
    try:
        typed = table.reset_index(drop=True).astype(dict(columns))
    except (TypeError, ValueError) as error:
        raise PipelineError(f"{path.name}: a value does not fit its column's type: {error}") from error
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    typed.to_parquet(temporary, index=False)
    temporary.replace(path)


def read_table(path: Path, columns: Mapping[str, str], categories: Collection[str] = ()) -> pd.DataFrame:
    """Read a Parquet table with its column types.

    Parameters
    ----------
    path : Path
        The file.
    columns : mapping
        Name to type, in order.
    categories : collection of str
        Text columns with few values, read as categories in alphabetical order. With millions of rows, texts would not
        fit into memory.

    Raises
    ------
    PipelineError
        If the file is missing, damaged or has other columns; the message names the command that writes it again.
    """
    if not path.is_file():
        raise PipelineError(f"{path}: no such table; {how_to_write(path)}")
    try:
        present = list(pyarrow.parquet.read_schema(path).names)
        if present != list(columns):
            raise PipelineError(f"{path}: {_difference(present, list(columns))}; {how_to_write(path, again=True)}")
        table = _with_categories(path, categories) if categories else pd.read_parquet(path)
        return table.astype({name: kind for name, kind in columns.items() if name not in categories})
    except (OSError, ValueError, TypeError, pyarrow.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the machine's fault, not the file's
            raise
        raise PipelineError(
            f"{path}: not readable as a Parquet table ({type(error).__name__}), it is damaged; "
            f"{how_to_write(path, again=True)}"
        ) from error


def _difference(present: list[str], expected: list[str]) -> str:
    """Describe how the columns of a table differ from the expected ones."""
    missing = [name for name in expected if name not in present]
    unknown = [name for name in present if name not in expected]
    version = "a later" if unknown and not missing else "an earlier"
    parts = [f"{what} {', '.join(names)}" for what, names in (("lacks", missing), ("also has", unknown)) if names]
    return f"written by {version} version of camray ({'; '.join(parts) or 'its columns have another order'})"


def _with_categories(path: Path, categories: Collection[str]) -> pd.DataFrame:
    read = pyarrow.parquet.read_table(path, read_dictionary=list(categories))
    table: pd.DataFrame = read.to_pandas(
        categories=list(categories), ignore_metadata=True, split_blocks=True, self_destruct=True
    )
    del read
    pyarrow.default_memory_pool().release_unused()
    for name in categories:
        table[name] = table[name].cat.set_categories(sorted(table[name].cat.categories.astype(str)))
    return table
