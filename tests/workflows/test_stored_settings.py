"""Settings that a run was made with, read again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from camray.adapters.settings.schema import Settings
from camray.commands.experiment import opened
from camray.domain.errors import PipelineError, SettingsError
from camray.io.artifacts import RunArtifacts
from camray.workflows.stored_settings import overridden, read_settings, settings_of


@pytest.fixture
def run_root(tmp_path: Path) -> Path:
    """A run folder with settings and a folder of training."""
    root = tmp_path / "r"
    RunArtifacts(root).train.folder.mkdir(parents=True)
    RunArtifacts(root).settings.write_text(Settings(name="r").model_dump_json())
    return root


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:40],
    "junk": lambda data: bytes(range(256)),
    "list": lambda data: b"[1, 2]",
    "deep": lambda data: b"[" * 100_000,
    "key": lambda data: data.replace(b'"seed"', b'"sead"'),
    "value": lambda data: data.replace(b'"auto"', b'"autx"'),
    "nameless": lambda data: b"{}",
}


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("read", [settings_of, read_settings, lambda root: overridden(root, ["score.bootstrap=3"])])
def test_a_damaged_settings_file_is_named_with_the_command_that_writes_it_again(
    run_root: Path, read: Callable[[Path], Settings], how: str
) -> None:
    path = RunArtifacts(run_root).settings
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    with pytest.raises(PipelineError, match=r"(?s)settings\.json.*repeat the command .*`camray run CONFIG`"):
        read(run_root)


def test_a_fault_of_an_override_is_not_blamed_on_the_file(run_root: Path) -> None:
    with pytest.raises(SettingsError, match="unknown key") as refused:
        opened(run_root, ["sead=3"], run_root.parent)
    assert "damaged" not in str(refused.value)
    assert overridden(run_root, ["seed=3"]).seed == 3
