"""``ingest/contract.json``: findings and model grid that the films of a run were prepared for."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from camray.adapters.run_folders.atomic_files import write_json
from camray.core.imaging.resampling import Fit
from camray.domain.labels import Code, Finding, names_of
from camray.domain.preparation import UNCHANGED, FilmPreparation, preparation_from_json
from camray.io.json_files import other_version, read_json


@dataclass(frozen=True)
class IngestContract:
    """Properties of ingested films that later stages depend on.

    Parameters
    ----------
    findings : tuple of Finding
        In the order of the labels, with everything that the data manifest says of them.
    rows, cols : int
        Model grid, px.
    fit : {'letterbox', 'crop', 'stretch'}
        How films were fitted to the model grid.
    bits : int
        Of the stored pixels, 8 or 16.
    manifest : str
        Name of the data manifest.
    data_digest : str
        Digest of films, splits, labels and boxes.
    preparation : FilmPreparation
        How films were changed before they were resampled.
    """

    findings: tuple[Finding, ...]
    rows: int
    cols: int
    fit: Fit
    bits: Literal[8, 16]
    manifest: str
    data_digest: str
    preparation: FilmPreparation = UNCHANGED

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the findings, in order."""
        return names_of(self.findings)


def read_ingest_contract(path: Path) -> IngestContract:
    """Read ``contract.json`` of an ingest.

    Raises
    ------
    PipelineError
        If it is missing, or lacks a key.
    """
    plain = read_json(path)
    try:
        return IngestContract(
            findings=tuple(_finding(each) for each in plain["findings"]),
            rows=int(plain["rows"]),
            cols=int(plain["cols"]),
            fit=plain["fit"],
            bits=plain["bits"],
            manifest=str(plain["manifest"]),
            data_digest=str(plain["data_digest"]),
            preparation=preparation_from_json(plain.get("preparation", {})),
        )
    except (KeyError, TypeError, ArithmeticError, ValueError, AttributeError) as error:
        raise other_version(path, error) from error


def write_ingest_contract(path: Path, contract: IngestContract) -> None:
    """Write ``contract.json`` of an ingest."""
    write_json(path, {**asdict(contract), "labels": list(contract.labels)})


def _finding(plain: Mapping[str, Any]) -> Finding:
    return Finding(
        name=plain["name"],
        code=None if plain["code"] is None else Code(**plain["code"]),
        any_of=tuple(plain["any_of"]),
        localizable=bool(plain["localizable"]),
        aliases=tuple(plain["aliases"]),
    )
