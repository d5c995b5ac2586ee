import pickle

import pytest

from camray.domain.errors import DicomError, PixelError
from camray.domain.records import Counts, RefusalReason


def test_counts_conserve_inputs() -> None:
    assert Counts(5, 3, 2).as_json() == {"in": 5, "done": 3, "refused": 2}
    for wrong in ((5, 3, 1), (5, 6, -1)):
        with pytest.raises(ValueError, match="lost or counted twice"):
            Counts(*wrong)


@pytest.mark.parametrize("kind", [DicomError, PixelError])
def test_image_errors_cross_process_borders(kind: type[DicomError]) -> None:
    back = pickle.loads(pickle.dumps(kind(RefusalReason.BLANK, "all pixels are equal")))
    assert type(back) is kind
    assert back.reason is RefusalReason.BLANK
    assert str(back) == "all pixels are equal"
