"""Contracts on disk: what is no contract is refused."""

import json
from pathlib import Path

import pytest

from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import CheckpointError
from camray.io.model_contract import read_contract, write_contract

CONTRACT = ModelContract(
    labels=("Nodule",),
    rows=32,
    cols=32,
    fit="crop",
    bits=8,
    network=NetworkSpec(),
    feature_rows=2,
    feature_cols=2,
    data_digest="d",
    seed=1,
    code_version="0",
)


def test_a_contract_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "contract.json"
    with pytest.raises(CheckpointError, match="train first"):
        read_contract(path)
    for content in ("{", "[]", "{}", json.dumps({**CONTRACT.as_json(), "rows": 33}), json.dumps({"network": {}})):
        path.write_text(content, encoding="utf-8")
        with pytest.raises(CheckpointError, match="not a model contract"):
            read_contract(path)
    write_contract(path, CONTRACT)
    assert read_contract(path) == CONTRACT
