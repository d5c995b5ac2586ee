"""Two run folders compared on the films both scored."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.commands.app import app
from camray.core.metrics.bootstrap import Bootstrap
from camray.domain.errors import PipelineError
from camray.stages.localize import stage as localize
from camray.workflows.paired_comparison import compare_runs
from tests.scored_run import make_run, settings_of

LABELS = ("Square", "Other")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and its twin whose logits and maps of the first label are shuffled between films."""
    root = tmp_path_factory.mktemp("runs")
    folder = make_run(root / "a", LABELS, 80)
    shutil.copytree(root / "a", root / "b")
    rng, explain = np.random.default_rng(5), root / "b" / "explain"
    for path in (explain / "logits.npy", *explain.glob("heat-*.npy")):
        values = np.load(path)
        values[:, 0] = values[rng.permutation(len(values)), 0]
        np.save(path, values)
    for run in (folder, RunFolder(root / "b")):
        localize.run(settings_of(), run, NullTracker())
    return root / "a", root / "b"


@pytest.mark.slow
def test_what_was_spoilt_is_told_and_what_was_not_is_not(runs: tuple[Path, Path]) -> None:
    found = compare_runs(*runs, "test", None, Bootstrap(300, 0.95, 1))
    rows = found.table.set_index(["label", "metric"])
    spoilt, same = rows.loc[("Square", "auroc")], rows.loc[("Other", "auroc")]
    assert spoilt["difference"] < -0.2
    assert spoilt["p"] < 0.05
    assert (same["difference"], same["p"]) == (0, 1)
    hits = rows.loc[("Square", "hit_rate")]
    assert hits["high"] < 0
    assert rows.loc[("Other", "hit_rate"), "difference"] == 0
    assert found.about["annotations_agree"]
    assert found.about["films_only_in_first"] == 0


def test_a_films_order_and_the_runs_places_do_not_matter(runs: tuple[Path, Path]) -> None:
    one = compare_runs(*runs, "test", "gradcam", Bootstrap(100, 0.95, 1)).table
    other = compare_runs(*runs[::-1], "test", "gradcam", Bootstrap(100, 0.95, 1)).table
    assert np.allclose(one["difference"], -other["difference"])
    assert one["first"].tolist() == other["second"].tolist()


def test_runs_that_share_nothing_are_refused(runs: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no maps of method 'scorecam'"):
        compare_runs(*runs, "test", "scorecam", Bootstrap(100, 0.95, 1))
    with pytest.raises(PipelineError, match="share 0 film"):
        compare_runs(*runs, "elsewhere", None, Bootstrap(100, 0.95, 1))
    with pytest.raises(PipelineError, match="not a run folder"):
        compare_runs(runs[0], tmp_path, "test", None, Bootstrap(100, 0.95, 1))


def test_the_command(runs: tuple[Path, Path], tmp_path: Path) -> None:
    names = [str(run) for run in runs]
    spoken = CliRunner().invoke(
        app, ["diff", *names, "--resamples", "100", "--out", str(tmp_path / "d.json"), "--json"]
    )
    told = json.loads(spoken.stdout)
    assert json.loads((tmp_path / "d.json").read_text()) == told
    assert {row["test"] for row in told["rows"]} == {"DeLong", "sign flips"}
    assert "hit_rate" in CliRunner().invoke(app, ["diff", *names, "--resamples", "100"]).stdout
