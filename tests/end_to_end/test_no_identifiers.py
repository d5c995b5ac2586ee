"""The word planted in real films' headers reaches nothing but the patient and study modules of DICOM objects."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pydicom
import pytest
from PIL import Image

from camray.adapters.dicom.write.source_header import TYPE_2, TYPE_3
from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.bootstrap import Bootstrap
from camray.domain.delivery import ObjectKey, StoreAnswer
from camray.io.artifacts import artifacts_of
from camray.stages.export import stage as export
from camray.workflows.pacs.retry import RetryPolicy
from camray.workflows.pacs.send import deliver, objects_of
from camray.workflows.review.import_decisions import ImportOptions, import_decisions
from tests.adapters.dicom.edited_reports import edited_by_ohif, film_of, ohif_mark
from tests.dicom_run import LABELS, make_run, settings_of

WORD = "canary"
FORMATS = ["csv", "coco", "labelstudio", "voc", "sr", "gsps", "sc", "seg", "pdf"]


class _Taker:
    """Accepts, and refuses with a message, in turn."""

    address = "somewhere"
    count = 0

    def send(self, path: Path) -> StoreAnswer:
        self.count += 1
        return StoreAnswer(self.count % 2 == 0, "no room")

    def has(self, key: ObjectKey) -> bool:
        return False


def _leaking(ds: pydicom.Dataset, depth: int = 0) -> Iterator[str]:
    """Yield the elements that hold the word and may not."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from _leaking(item, depth + 1)
        elif (
            WORD.encode() in element.value.lower()
            if isinstance(element.value, bytes)
            else (WORD in str(element.value).lower() and (depth or element.keyword not in {*TYPE_2, *TYPE_3}))
        ):
            yield element.keyword


def _shown(path: Path) -> str:
    """Return what a file says beyond its bytes: a table's cells, a picture's words."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path).to_csv()
    if path.suffix == ".png":
        with Image.open(path) as picture:
            return str(picture.info)
    return ""


@pytest.mark.realdata
def test_nothing_but_objects_names_a_patient(
    real_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    films = sorted((real_data / "tb_hemithorax" / "dicom").glob("*.dcm"))[:4]
    assert all(WORD in str(pydicom.dcmread(film, stop_before_pixels=True)).lower() for film in films)
    folder = make_run(tmp_path, len(films), films)
    settings = settings_of(tmp_path, formats=FORMATS, capture_px=256)
    export.run(settings, folder, NullTracker())
    files = objects_of(folder)
    deliver(files, _Taker(), DeliveryLog(artifacts_of(folder).delivery_log), RetryPolicy(1))
    read = tmp_path / "read"
    read.mkdir()
    for path in files:
        if path.name.endswith(".sr.dcm"):
            report = pydicom.dcmread(path)
            box = ohif_mark(film_of(report), None, LABELS[0], points=[5, 5, 60, 5, 60, 80, 5, 80, 5, 5])
            edited_by_ohif(report, [box]).save_as(read / path.name, enforce_file_format=True)
    found = import_decisions([read], folder, NullTracker(), ImportOptions(Bootstrap(0, 0.95, 1)))
    assert found.counts["films"] == len(films)
    others = [path for path in folder.root.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert {"coco.json", "boxes.csv", "problems.csv", "delivered.sqlite"} <= {path.name for path in others}
    for path in others:
        assert WORD.encode() not in path.read_bytes().lower(), path.name
        assert WORD not in _shown(path).lower(), path.name
    for path in files:
        ds = pydicom.dcmread(path)
        assert WORD in str(ds.PatientName).lower()  # they must carry it
        assert list(_leaking(ds)) == [], path.name
        if "EncapsulatedDocument" in ds and shutil.which("pdfinfo") is not None:
            (tmp_path / "page.pdf").write_bytes(ds.EncapsulatedDocument)
            words = ["pdfinfo", str(tmp_path / "page.pdf")]  # the page itself names its patient
            properties = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            assert properties
            assert WORD not in properties.lower()
    assert WORD not in ("".join(capfd.readouterr()) + caplog.text).lower()
