import pytest

from camray.domain.file_names import LONGEST, file_names


def test_uids_and_plain_stems_stay_as_they_are() -> None:
    plain = ["1.2.840.113619.2.5", "00000013_026", "a-b"]
    assert file_names(plain) == {name: name for name in plain}


@pytest.mark.parametrize(
    "bad", ["../../etc/passwd", "..", ".", "", "/abs", "a/b", "a\\b", "a b", "nul\0", "é" * 300, "-rf"]
)
def test_nothing_climbs_out_or_hides(bad: str) -> None:
    (name,) = file_names([bad]).values()
    assert name
    assert name[0].isalnum()
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert len(name) <= LONGEST + 9


def test_no_two_share_a_name_even_where_case_does_not_count() -> None:
    names = file_names(["a/b", "a_b", "a\\b", "Film", "film", "x" * 150, "x" * 151])
    assert len({name.lower() for name in names.values()}) == 7
    assert names["a_b"] == "a_b"


def test_a_name_does_not_depend_on_the_company_of_unrelated_ids() -> None:
    assert file_names(["a/b"])["a/b"] == file_names(["z", "a/b", "1.2"])["a/b"]
