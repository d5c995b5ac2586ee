"""The gallery from an untrained network: every method, on films that show what they are said to show."""

from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file

from camray.adapters.run_folders.atomic_files import write_json
from camray.core.explain.methods import METHODS
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import SettingsError
from camray.reporting import fonts
from camray.workflows.show import method_gallery
from camray.workflows.show.method_gallery import PICTURES, make_gallery


def _trained(root: Path, labels: tuple[str, ...]) -> Path:
    spec = NetworkSpec(widths=(4, 6, 8, 8), stem_kernel=3, stride=8)
    (root / "train").mkdir(parents=True)
    save_file(build_classifier(spec, len(labels), seed=4).state_dict(), root / "train" / "model.safetensors")
    contract = ModelContract(labels, 64, 64, "letterbox", 8, spec, 8, 8, "data", 4, "0.1.0")
    write_json(root / "train" / "contract.json", contract.as_json())
    write_json(root / "settings.json", {"name": "run"})
    return root


def test_every_method_is_on_the_page_with_its_picture(tmp_path: Path) -> None:
    run = _trained(tmp_path / "run", ("Cardiomegaly", "Consolidation"))
    options = ["explain.occlusion.patch_px=24", "explain.integrated_gradients.tolerance=0.2"]
    made = make_gallery(run, tmp_path / "out", 20_000, options)
    page = made.page.read_text(encoding="utf-8")
    assert made.note == ""
    assert "patches of 24 x 24 px" in page
    assert "complete to 20 %" in page
    files = sorted(path.stem for path in (tmp_path / "out" / PICTURES).iterdir())
    assert len(files) == made.pictures == len(METHODS) + 4  # the films, two more rows, the labels
    for name in METHODS:
        assert f'id="{name}"' in page
        assert name in files
    for name in files:
        with Image.open(tmp_path / "out" / PICTURES / f"{name}.webp") as picture:
            assert picture.width > 2 * 100


@pytest.mark.slow
def test_names_without_a_font_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(method_gallery, "METHODS", {"cam": METHODS["cam"]})
    monkeypatch.setattr(fonts, "letter_fonts", lambda text: None if "폐렴" in text else {})
    made = make_gallery(_trained(tmp_path / "run", ("Cardiomegaly", "폐렴")), tmp_path / "out", 20_000)
    assert "no installed font has the letters of '폐렴'" in made.note


def test_a_run_of_other_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the run knows Tuberculosis"):
        make_gallery(_trained(tmp_path / "run", ("Tuberculosis",)), tmp_path / "out", 1)
