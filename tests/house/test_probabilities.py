"""One place turns logits into the probability that leaves camray: `camray.core.probability.calibration`."""

import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "pipeline" / "camray"
# the logistic of a raw logit is no probability; these use it, and none of them states it as one
INTERNAL = {
    "core/localization/box_thresholds.py": "compared with cutoffs",
    "core/map_sanity/single_label.py": "deletion and insertion, which published work defines by the network's output",
    "core/metrics/delong.py": "an interval on the logit scale",
    "core/metrics/localization/few_shot.py": "cells of the few-shot baseline",
    "core/metrics/operating_points.py": "rows of the protocol `classification`, and of what is not calibrated",
    "core/networks/lung_unet.py": "lung masks",
    "core/networks/pooling.py": "pools of cells",
    "core/probability/calibration.py": "the one place",
    "core/probability/fit.py": "the gradient of the fit",
    "core/probability/logistic.py": "the function",
    "core/probability/promise_fit.py": "chooses cutoffs",
    "core/training/pretext_task.py": "textures",
    "stages/localize/threshold_choice.py": "chooses cutoffs",
    "stages/score/chart_selection.py": "reliability before calibration",
    "stages/score/few_shot_maps.py": "maps of the few-shot baseline",
    "stages/score/mask_protocol.py": "a cutoff of the protocol `chexlocalize`",
    "stages/score/protocol_inputs.py": "order of boxes",
    "stages/train/teacher_pairs.py": "compared with a bound, in self-training",
    "workflows/show/photo.py": "photographs, by published checkpoints",
}
_LOGISTIC = re.compile(r"\bsigmoid\(|\.sigmoid\b|\bexpit\b|\bprobabilities_of\(|logsigmoid")


def _users() -> set[str]:
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(path.relative_to(PACKAGE)) for path in files if _LOGISTIC.search(path.read_text(encoding="utf-8"))}


def test_no_exit_states_the_networks_output_as_a_probability() -> None:
    assert _users() - set(INTERNAL) == set()


def test_the_list_of_internal_uses_names_no_other_file() -> None:
    assert set(INTERNAL) - _users() == set()
