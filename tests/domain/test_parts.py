import pytest

from camray.domain.errors import SettingsError
from camray.domain.parts import Part, parse_part


@pytest.mark.parametrize(
    "text",
    ["0/3", "4/3", "a/b", "", "1", "/", "1/0", "0/0", "-1/3", "1/-3", "1/2/3", "1.0/2", "1 /2", "٣/٥", "1/100001"],
)
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"expected I/N, two whole numbers .* for instance 2/5"):
        parse_part(text)


def test_a_part_is_read_and_written() -> None:
    assert parse_part("2/5") == Part(of=5, number=2)
    assert parse_part("1/1") == Part(of=1, number=1)
    assert parse_part("100000/100000").number == 100_000
    assert str(parse_part("02/5")) == "2/5"


@pytest.mark.parametrize("of", [1, 2, 5, 13])
def test_each_unit_has_one_owner_and_no_part_has_two_more_than_another(of: int) -> None:
    parts = [Part(of, number) for number in range(1, of + 1)]
    owners = [[part.number for part in parts if part.owns(unit)] for unit in range(11)]
    assert owners == [[unit % of + 1] for unit in range(11)]
