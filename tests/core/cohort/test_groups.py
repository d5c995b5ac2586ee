"""Names of groups, by hand."""

import numpy as np
import pandas as pd

from camray.core.cohort.groups import group_names


def test_age_bands_begin_at_their_first_year_and_the_oldest_is_open() -> None:
    years = pd.DataFrame({"age_years": [0.0, 19.0, 20.0, 79.0, 80.0, 104.0, np.nan]})
    assert group_names(years, "age").tolist() == ["0-19", "0-19", "20-39", "60-79", "80+", "80+", ""]


def test_other_groups_are_the_texts_of_the_column() -> None:
    assert group_names(pd.DataFrame({"view": ["PA", None, "AP"]}), "view").tolist() == ["PA", "", "AP"]
    assert group_names(pd.DataFrame({"view": pd.Series([], dtype="string")}), "view").tolist() == []
