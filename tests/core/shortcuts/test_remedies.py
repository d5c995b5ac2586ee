"""Remedies: each names settings that exist, and only strong probes that a setting can weaken have one."""

import shlex
from pathlib import Path

import pytest

from camray.adapters.settings.loading import load_settings
from camray.core.shortcuts.probes import Probe
from camray.core.shortcuts.remedies import REMEDIES, suggestions_of


def _probe(label: str, features: str, auc: float | None) -> Probe:
    return Probe(label, features, auc, 100, 50)


def test_strong_probes_are_named_with_their_settings_highest_first() -> None:
    probes = [_probe("Mass", "age", 0.66), _probe("Mass", "border", 0.724), _probe("Mass", "sex", None)]
    assert suggestions_of([*probes, _probe("Mass", "view", 0.6)]) == [
        "Mass: border 0.72: try ingest.prepare.mask_border=0.08 or ingest.prepare.crop_lungs=true or "
        "train.outside_penalty=1",
        "Mass: age 0.66: try train.balance='[age]'",
    ]


def test_a_picture_of_the_whole_chest_has_no_remedy() -> None:
    assert suggestions_of([_probe("Cardiomegaly", "8x8 thumbnail", 0.9)]) == []


@pytest.mark.parametrize("setting", sorted({each for named in REMEDIES.values() for each in named}))
def test_each_remedy_is_a_setting(tmp_path: Path, setting: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("name: t\n")
    assert load_settings(path, shlex.split(setting)) != load_settings(path)
