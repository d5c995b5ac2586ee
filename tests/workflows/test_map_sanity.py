"""The sanity checks of a small run: what lies in its folder, and that nothing is done twice."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table
from camray.commands.sanity import uninformative
from camray.core.map_sanity.columns import SANITY_COLUMNS
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import InputRefusedError, PipelineError, SettingsError
from camray.domain.records import Counts, StageResult
from camray.workflows.map_sanity import DEFAULT_METHODS, EXPENSIVE, SanityChoice, check_run, parse_methods
from tests.trained_run import COLS, LABELS, ROWS, STRIDE, ingested_run

CHOICE = SanityChoice(("cam", "saliency"), films=5, split="validation")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = ingested_run(tmp_path / "runs" / "small")
    spec = NetworkSpec(widths=(4, 6, 8, 8), stem_kernel=3, stride=STRIDE)
    contract = ModelContract(LABELS, ROWS, COLS, "letterbox", 8, spec, ROWS // STRIDE, COLS // STRIDE, "d", 1, "v")
    train = folder.stage("train")
    write_json(train / "contract.json", contract.as_json())
    write_bytes(train / "model.safetensors", weights_bytes(build_classifier(spec, len(LABELS), 3).state_dict()))
    folder.finish("train", {}, StageResult(Counts(1, 1)))
    write_json(folder.root / "settings.json", {"name": "small", "device": "cpu", "track": {"enabled": False}})
    return folder.root


def test_tables_and_figures_of_the_positives_of_a_split(root: Path) -> None:
    checked = check_run(root, CHOICE)
    assert not checked.skipped
    names = {path.name for path in checked.folder.iterdir()}
    assert {"sanity.csv", "sanity.parquet", "cascade.csv", "curves.csv", "cascade.png", "curves.png"} <= names
    table = read_table(checked.folder / "sanity.parquet", SANITY_COLUMNS)
    pd.testing.assert_frame_equal(table, checked.table)
    assert table["method"].tolist() == ["cam", "saliency", "baseline:random", "baseline:centre"]
    assert table["films"].tolist() == [4] * 4  # four films of validation: two show the left, two the right square
    assert np.isfinite(table.loc[:1, ["deletion_auc", "insertion_auc", "rank_all", "noise_max"]].to_numpy()).all()
    assert RunFolder(root).record("sanity")["counts"] == {"in": 4, "done": 4, "refused": 0}  # type: ignore[index]


@pytest.mark.slow
def test_what_is_up_to_date_is_not_done_again_and_again_is_the_same(root: Path) -> None:
    first = check_run(root, CHOICE)
    written = {path.name: path.read_bytes() for path in first.folder.iterdir() if path.suffix != ".json"}
    again = check_run(root, CHOICE)
    assert again.skipped
    pd.testing.assert_frame_equal(again.table, first.table)
    forced = check_run(root, CHOICE, force=True)
    assert not forced.skipped
    assert {path.name: path.read_bytes() for path in forced.folder.iterdir() if path.suffix != ".json"} == written
    assert not check_run(root, SanityChoice(("cam",), films=2, split="validation")).skipped


def test_one_label_and_what_is_not_there(root: Path) -> None:
    one = check_run(root, SanityChoice(("cam",), split="train", label=LABELS[1]))
    assert one.table["films"].iloc[0] == 3  # of eight films four show it, and of one of these it is uncertain
    with pytest.raises(SettingsError, match="no label 'Mass'"):
        check_run(root, SanityChoice(("cam",), label="Mass"))
    with pytest.raises(SettingsError, match="no split 'all'"):
        check_run(root, SanityChoice(("cam",), split="all"))
    with pytest.raises(SettingsError, match="expected one or more"):
        check_run(root, SanityChoice(("cam",), films=0))
    with pytest.raises(InputRefusedError, match="'test' shows"):
        check_run(root, SanityChoice(("cam",)))
    with pytest.raises(PipelineError, match="not a run folder"):
        check_run(root.parent, CHOICE)


def test_methods_by_name() -> None:
    assert parse_methods("cam, gradcam") == ("cam", "gradcam")
    assert parse_methods(None) == DEFAULT_METHODS
    assert set(parse_methods("all")) == {*DEFAULT_METHODS, *EXPENSIVE}
    with pytest.raises(SettingsError, match="expected one or more different names"):
        parse_methods("cam,glance")


def test_what_says_nothing_is_noted() -> None:
    nan = float("nan")
    row = {
        "method": "cam",
        "reason": "",
        "films": 4,
        "constant": 0,
        "checked_films": 4,
        "deletion_auc": 0.2,
        "insertion_auc": 0.7,
        "rank_all": 0.1,
    }
    assert uninformative([row]) == []
    (some,) = uninformative([{**row, "constant": 1}])
    assert some == "cam: 1 of 4 maps are constant and omitted from the figures"
    flat = {**row, "method": "gradcam", "constant": 4, "deletion_auc": nan, "insertion_auc": nan, "rank_all": nan}
    every, dash = uninformative([row, flat])
    assert every == "gradcam: every map is constant; its figures are undefined"
    assert dash.startswith("head, all: a dash means")
    (still,) = uninformative([{**row, "insertion_auc": 0.21}])
    assert "differ by less than 0.02 for every method" in still
    assert uninformative([{**flat, "reason": "refused"}]) == []
