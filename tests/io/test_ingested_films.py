"""What the audit found, as scores and next steps read it."""

from pathlib import Path

from camray.adapters.run_folders.atomic_files import write_json
from camray.io.ingested_films import read_ingested
from tests.trained_run import ingested_run


def test_a_warning_that_no_setting_helps_against_is_kept_beside_suggestions(tmp_path: Path) -> None:
    run = ingested_run(tmp_path / "run")
    assert read_ingested(run).audit_warnings == []
    write_json(run.root / "ingest" / "audit.json", {"warnings": ["thumbnail 0.80"], "suggestions": ["view 0.65: try"]})
    assert read_ingested(run).audit_warnings == ["thumbnail 0.80", "view 0.65: try"]
