"""observation.py: a table of numbers is the columns that it stands for."""

import numpy as np
import pytest

from exporter.records.observation import NumericTable

TABLE = NumericTable(("a", "b", "c"), np.arange(6.0))


def test_columns_are_views_of_the_table_in_its_order() -> None:
    """By iteration and by place, from the end as well; two rows of three columns."""
    assert [(one.name, one.kind, one.values.tolist(), one.nulls) for one in TABLE] == [
        ("a", "numeric", [0.0, 3.0], 0),
        ("b", "numeric", [1.0, 4.0], 0),
        ("c", "numeric", [2.0, 5.0], 0),
    ]
    for place in (0, 1, 2, -1, -3):
        assert TABLE[place].name == list(TABLE)[place].name
        assert TABLE[place].values.tolist() == list(TABLE)[place].values.tolist()
    assert all(np.shares_memory(one.values, TABLE.values) for one in (*TABLE, TABLE[1]))


def test_it_has_the_length_and_the_bounds_of_a_tuple() -> None:
    """No column is made up, and a float of 32 bits stays one."""
    assert len(TABLE) == len(tuple(TABLE)) == 3
    for place in (3, -4):
        with pytest.raises(IndexError):
            TABLE[place]
    small = NumericTable(("a", "b"), np.zeros(2, np.float32))
    assert {one.values.dtype for one in small} == {np.dtype(np.float32)}
