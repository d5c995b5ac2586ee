"""VOC and Label Studio files opened by the tools that people open them with, in an environment of their own.

Neither tool can live beside camray's versions of pandas and Pillow. ``make test-formats`` installs both and runs this.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image

from camray.adapters.export_formats import write_label_studio, write_voc

pytestmark = pytest.mark.formats

PYTHON = Path(os.environ.get("CAMRAY_FORMATS_PYTHON", ".venv-formats/bin/python"))
IMAGES = pd.DataFrame({"image_id": ["1.2", "1.3"], "rows": [2048, 512], "cols": [1024, 256]})
LABELS = ("Mass", "Effusion, left")
BOX = (10.5, 20.0, 30.25, 60.0)
READ_VOC = """
import json, sys
import datumaro
found = datumaro.Dataset.import_from(sys.argv[1], "voc_detection")
names = found.categories()[datumaro.AnnotationType.label]
print(json.dumps({each.id: [[names[box.label].name, *box.points] for box in each.annotations] for each in found}))
"""
READ_LABEL_STUDIO = """
import json, sys
from pathlib import Path
from label_studio_sdk.converter import Converter
folder = Path(sys.argv[1])
converter = Converter(str(folder / "tasks.xml"), str(folder), download_resources=False)
converter.convert_to_coco(str(folder / "annotated.json"), str(folder / "out"), is_dir=False)
found = json.loads((folder / "out" / "result.json").read_text())
names = {each["id"]: each["name"] for each in found["categories"]}
films = {each["id"]: Path(each["file_name"]).name.split("__")[-1] for each in found["images"]}  # <digest>__<name>
boxes = [[films[each["image_id"]], names[each["category_id"]], *each["bbox"]] for each in found["annotations"]]
print(json.dumps({"films": sorted(films.values()), "boxes": boxes}))
"""


def _boxes() -> pd.DataFrame:
    row = {"image_id": "1.3", "label": "Effusion, left", "probability": 0.75, "score": 1.25, "method": "cam"}
    more = {"threshold_id": "calibrated/cam/x", "threshold_source": "validation", "rank": 0, "zone": "left lower"}
    return pd.DataFrame([{**row, **more, **dict(zip(("x0", "y0", "x1", "y1"), BOX, strict=True))}])


def _said_by(script: str, folder: Path) -> Any:
    done = subprocess.run(
        [PYTHON, "-W", "ignore", "-c", script, folder], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_datumaro_reads_voc(tmp_path: Path) -> None:
    write_voc(tmp_path, IMAGES, _boxes(), LABELS, {"1.2": "1.2", "1.3": "1.3"})
    (tmp_path / "JPEGImages").mkdir()
    for film in IMAGES.itertuples():
        Image.new("L", (film.cols, film.rows)).save(tmp_path / "JPEGImages" / f"{film.image_id}.png")
    assert _said_by(READ_VOC, tmp_path) == {"1.2": [], "1.3": [["Effusion, left", *BOX]]}


def test_label_studio_reads_its_tasks(tmp_path: Path) -> None:
    """Its converter reads annotations and passes predictions over: they are accepted as they are, as a reader would."""
    write_label_studio(tmp_path / "tasks.json", IMAGES, _boxes(), LABELS)
    tasks = json.loads((tmp_path / "tasks.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks, start=1):
        task |= {"id": number, "annotations": [{"id": number, "result": task["predictions"][0]["result"]}]}
    (tmp_path / "annotated.json").write_text(json.dumps(tasks), encoding="utf-8")
    found = _said_by(READ_LABEL_STUDIO, tmp_path)
    assert found["films"] == ["1.2.png", "1.3.png"]
    ((film, label, *box),) = found["boxes"]
    assert (film, label) == ("1.3.png", "Effusion, left")
    x, y, width, height = BOX[0], BOX[1], BOX[2] - BOX[0], BOX[3] - BOX[1]
    assert box == pytest.approx([x, y, width, height], abs=1e-9)
