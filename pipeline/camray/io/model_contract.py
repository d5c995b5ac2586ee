"""The model contract in ``train/contract.json``."""

import json
from pathlib import Path

from camray.adapters.run_folders.atomic_files import write_json
from camray.domain.contract import ModelContract, contract_from_json
from camray.domain.errors import CheckpointError


def read_contract(path: Path) -> ModelContract:
    """Read a model contract.

    Raises
    ------
    CheckpointError
        If the file is missing or is not a contract.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no model contract; train first, or name a trained run")
    try:
        return contract_from_json(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a model contract of this version: {error}") from error


def write_contract(path: Path, contract: ModelContract) -> None:
    """Write a model contract."""
    write_json(path, contract.as_json())
