"""The ingest contract: a finding keeps everything that the data manifest says of it."""

import json
from pathlib import Path

import pytest

from camray.domain.errors import PipelineError
from camray.domain.labels import Code, Finding
from camray.io.ingest_contract import IngestContract, read_ingest_contract, write_ingest_contract

FINDINGS = (
    Finding("A", Code("4147007", "SCT", "Mass")),
    Finding("Pleural_Thickening", None, ("A",), localizable=False, aliases=("Pleural Thickening",)),
)
CONTRACT = IngestContract(FINDINGS, 96, 64, "stretch", 16, "folder", "0af3")


def test_aliases_lost(tmp_path: Path) -> None:
    path = tmp_path / "contract.json"
    write_ingest_contract(path, CONTRACT)
    assert read_ingest_contract(path) == CONTRACT
    assert json.loads(path.read_text())["labels"] == ["A", "Pleural_Thickening"]


@pytest.mark.parametrize("lost", ["findings", "rows", "fit", "manifest"])
def test_a_contract_that_lacks_a_key_names_it(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "contract.json"
    write_ingest_contract(path, CONTRACT)
    plain = json.loads(path.read_text())
    del plain[lost]
    path.write_text(json.dumps(plain))
    with pytest.raises(PipelineError, match=f"another version.*'{lost}'"):
        read_ingest_contract(path)


def test_a_missing_or_damaged_contract_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "contract.json"
    with pytest.raises(PipelineError, match="no such file"):
        read_ingest_contract(path)
    path.write_text("{")
    with pytest.raises(PipelineError, match="not readable as JSON"):
        read_ingest_contract(path)
