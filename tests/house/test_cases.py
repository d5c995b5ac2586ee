"""Each example of a wrong result has a test under the name of its kind, which makes its own input."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATASETS, DICOM, INGEST = (
    "tests/adapters/datasets",
    "tests/adapters/dicom",
    "tests/stages/ingest/test_stage_accounting.py",
)
PACS, KINDS = "tests/workflows/pacs/test_dicomweb_answers.py", f"{DATASETS}/test_tables.py"
HELD = {  # kind of example, the file of its test, and the test
    "aliases_lost": ("tests/io/test_ingest_contract.py", "test_aliases_lost"),
    "backslash_paths": (INGEST, "test_backslash_paths"),
    "boxes_coco_json": (INGEST, "test_boxes_coco_json"),
    "boxes_normalised": (f"{DATASETS}/test_reading.py", "test_boxes_normalised"),
    "csv_line_numbers": (f"{DATASETS}/test_csv_text.py", "test_csv_line_numbers"),
    "csv_trailing_comma": (f"{DATASETS}/test_csv_text.py", "test_csv_trailing_comma"),
    "damaged_dicom/nanrescale": ("tests/io/test_film_files.py", "test_damaged_dicom_nanrescale_is_not_applied"),
    "damaged_dicom/px_flip": (
        f"{DICOM}/read/test_codestreams_damaged.py",
        "test_damaged_dicom_px_flip_gives_no_other_pixels",
    ),
    "damaged_dicom/rowscols_small": (f"{DICOM}/test_read.py", "test_damaged_dicom_rowscols_small"),
    "decimal_comma": (f"{DICOM}/test_read.py", "test_decimal_comma_is_a_decimal_point"),
    "exif_rotated": ("tests/adapters/images/test_grayscale.py", "test_exif_rotated_is_read_upright_by_every_reader"),
    "float_ids": (INGEST, "test_float_ids"),
    "grey_rgb_dicom": (f"{DICOM}/read/test_grey_colour.py", "test_grey_rgb_dicom_of_three_equal_samples"),
    "gsps_useless_window": (f"{DICOM}/test_write.py", "test_gsps_useless_window"),
    "hostile/voc_utf16": (f"{DATASETS}/test_forms.py", "test_hostile_document_type_in_every_encoding"),
    "hostile/voc_utf16_bl": (f"{DATASETS}/test_forms.py", "test_hostile_document_type_in_every_encoding"),
    "hostile/voc_utf16_ext": (f"{DATASETS}/test_forms.py", "test_hostile_document_type_in_every_encoding"),
    "hostile/yaml_deep": (
        "tests/adapters/settings/test_loading.py",
        "test_hostile_yaml_nested_or_multiplied_without_limit",
    ),
    "hostile/yaml_env": ("tests/adapters/settings/test_loading.py", "test_hostile_functions_that_read_secrets"),
    "label_names_mlflow": ("tests/adapters/tracking/test_keys.py", "test_label_names_mlflow"),
    "label_with_line_break": ("tests/adapters/test_export_formats.py", "test_label_with_line_break"),
    "ohif_report": ("tests/workflows/review/test_import_reports.py", "test_ohif_report_comes_back_exactly"),
    "ohif_report/unnamed": ("tests/workflows/review/test_import_reports.py", "test_ohif_report_unnamed_is_not_merged"),
    "one_patient_id": (INGEST, "test_one_patient_id"),
    "pacs_answers/cap100_warning": (PACS, "test_pacs_answers_in_pages_of_any_length"),
    "pacs_answers/stow_200_list": (PACS, "test_pacs_answers_in_every_form"),
    "pacs_answers/stow_202_fail_charset": (PACS, "test_pacs_answers_with_a_refusal_and_the_next_object_is_sent"),
    "pacs_answers/stow_202_fail_list": (PACS, "test_pacs_answers_with_a_refusal_and_the_next_object_is_sent"),
    "pacs_answers/stow_409_duplicate": (PACS, "test_pacs_answers_that_an_object_is_there_already"),
    "pacs_answers/stow_409_reason": (PACS, "test_pacs_answers_with_a_refusal_and_the_next_object_is_sent"),
    "pacs_answers/stow_google": (PACS, "test_pacs_answers_that_an_object_is_there_already"),
    "resize_corner": ("tests/core/metrics/protocols/test_wsol.py", "test_resize_corner"),
    "same_stem_in_patient_folders": (INGEST, "test_same_stem_in_patient_folders"),
    "symlinked_folder": (INGEST, "test_symlinked_folder"),
    "tables/a_three": (INGEST, "test_tables_a_three"),
    "tables/b_onepatient": (INGEST, "test_tables_b_onepatient"),
    "tables/c_names": (KINDS, "test_tables_c_names"),
    "tables/d_allpositive": (INGEST, "test_tables_d_allpositive"),
    "tables/e_twoboxes": (KINDS, "test_tables_e_twoboxes"),
    "tables/f_mismatch": (KINDS, "test_tables_f_mismatch"),
    "tables/g_xywh": (KINDS, "test_tables_g_xywh"),
    "tables/h2_true": (KINDS, "test_tables_h2_true"),
    "tables/h_yesno": (KINDS, "test_tables_h_yesno"),
    "tables/i2_bom": (KINDS, "test_tables_i2_bom"),
    "tables/i3_cp949": (KINDS, "test_tables_i3_cp949"),
    "tables/i_semicolon": (KINDS, "test_tables_i_semicolon"),
    "tables/k_extra": (KINDS, "test_tables_k_extra"),
    "tables/l_labelname": (KINDS, "test_tables_l_labelname"),
    "tables/m_boxlabelcase": (KINDS, "test_tables_m_boxlabelcase"),
    "tables/n_rowid": (KINDS, "test_tables_n_rowid"),
    "tables/o_onecol": (KINDS, "test_tables_o_onecol"),
}
FOLDERS_OF_KINDS = {"damaged_dicom", "hostile", "tables"}  # one kind is a file, or a folder, inside
UNDAMAGED = "SEED"  # films beside damaged ones


@cache
def _tests_of(file: str) -> dict[str, ast.FunctionDef]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("kind", HELD)
def test_a_test_of_its_own_input_holds_the_kind(kind: str) -> None:
    file, name = HELD[kind]
    test = _tests_of(file).get(name)
    assert test is not None, f"{file} has no {name}"
    assert name.startswith(f"test_{kind.partition('/')[0]}"), "the name begins with that of the kind"
    assert "cases" not in {each.arg for each in test.args.args}, "skipped where the examples are not"
    assert not any("skip" in ast.unparse(each) for each in test.decorator_list)
    checks = [node for node in ast.walk(test) if isinstance(node, ast.Assert) or _is_check(node)]
    assert checks, f"{name} checks nothing"


def _is_check(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("pytest.raises", "np.testing.assert"))


def test_every_example_has_its_kind(cases: Path) -> None:
    several = ("pacs_answers", "ohif_report")  # one example of several kinds
    found = {kind for path in cases.iterdir() if path.name[0] not in "._" for kind in _kinds_of(path)}
    assert {kind.partition("/")[0] if kind.startswith(several) else kind for kind in HELD} == found
    habits = (cases / "pacs_answers" / "expected.txt").read_text(encoding="utf-8")
    assert not [kind for kind in HELD if kind.startswith("pacs_answers/") and kind.partition("/")[2] not in habits]


def _kinds_of(path: Path) -> set[str]:
    """Return the kinds of an entry: its own name, or those of what is inside without numbers."""
    if path.name not in FOLDERS_OF_KINDS:
        return {path.stem}
    names = {each.name.split(".")[0] for each in path.iterdir() if each.name[0] not in "._"}
    if path.name == "damaged_dicom":
        names = {name.split("_", 2)[2] for name in names} - {UNDAMAGED}
    return {f"{path.name}/{name.lower() if path.name == 'tables' else name}" for name in names}
