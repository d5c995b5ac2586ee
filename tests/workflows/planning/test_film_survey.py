"""What a plan sees of a folder before anything is ingested."""

from pathlib import Path

import pytest
from pydicom import uid

from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.core.planning.facts import DataFacts, LabelFacts
from camray.domain.errors import InputRefusedError, ManifestError, SettingsError
from camray.workflows.planning import film_survey
from camray.workflows.planning.film_survey import survey_films
from tests.film_factory import FilmRecipe, film_dataset
from tests.workflows.planning.films import write_films


def settings(root: Path, **data: object) -> Settings:
    return parse_settings({"name": "t", "data": {"root": str(root), **data}}, "test")


def test_films_labels_and_boxes_are_counted(tmp_path: Path) -> None:
    facts = survey_films(settings(write_films(tmp_path / "films")))
    labels = (LabelFacts("Mass", 5, 7, 5), LabelFacts("Chest", 12, 0, 0))
    assert facts == DataFacts(12, 12, labels, 5, 96, 64, 1.5, 12)
    without = survey_films(settings(tmp_path / "films", leave_out=("Chest",)))
    assert [label.name for label in without.labels] == ["Mass"]


def test_films_that_no_table_names_and_unreadable_ones_do_not_count(tmp_path: Path) -> None:
    root = write_films(tmp_path / "films")
    (root / "unnamed.png").write_bytes((root / "f0.png").read_bytes())
    (root / "f1.png").write_bytes(b"nothing")
    facts = survey_films(settings(root))
    assert (facts.films, facts.labelled, facts.boxed, facts.headers) == (11, 11, 4, 12)
    assert facts.labels[0] == LabelFacts("Mass", 4, 7, 4)


def test_without_tables_films_are_counted(tmp_path: Path) -> None:
    root = write_films(tmp_path / "films", films=3)
    (root / "labels.csv").unlink()
    (root / "boxes.csv").unlink()
    facts = survey_films(settings(root))
    assert (facts.films, facts.labelled, facts.labels, facts.boxed) == (3, 0, (), 0)


@pytest.mark.parametrize("sampled", [1, 9])
def test_headers_link_films_to_rows_and_spacing_gives_the_aspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampled: int
) -> None:
    monkeypatch.setattr(film_survey, "SAMPLED_HEADERS", sampled)
    for film in range(3):
        dataset = film_dataset(FilmRecipe(rows=96, cols=80, spacing_mm=(0.2, 0.16)), SOPInstanceUID=f"1.2.{film}")
        dataset.save_as(tmp_path / f"a{film}.dcm", enforce_file_format=True)
    assert dataset.file_meta.TransferSyntaxUID == uid.ExplicitVRLittleEndian
    (tmp_path / "labels.csv").write_text("SOPInstanceUID,Mass\n1.2.0,1\n1.2.1,0\n1.2.2,0\n")
    facts = survey_films(settings(tmp_path))
    assert facts.labels == (LabelFacts("Mass", 1, 2),)
    assert (facts.rows, facts.cols, facts.headers) == (96, 80, 3)
    assert facts.aspect == pytest.approx(96 * 0.2 / (80 * 0.16))


def test_a_folder_without_films_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputRefusedError, match="no film in it"):
        survey_films(settings(tmp_path))
    (tmp_path / "x.dcm").write_bytes(b"nothing")
    with pytest.raises(InputRefusedError, match="1 of 1 films tried would be refused: 1 x"):
        survey_films(settings(tmp_path))
    with pytest.raises(SettingsError, match="is no folder"):
        survey_films(settings(tmp_path / "none"))


def test_faults_of_a_table_are_named_where_nothing_is_left_of_it(tmp_path: Path) -> None:
    root = write_films(tmp_path / "films", films=2, present=0)
    (root / "labels.csv").write_text("image_id,Mass\nf0.png,perhaps\nf1.png,0\n")
    with pytest.raises(ManifestError, match=r"labels\.csv"):
        survey_films(settings(root))
