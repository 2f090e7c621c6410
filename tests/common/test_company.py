"""Who computes at the same time."""

import pytest

from services.common.llama.company import Company


def test_who_comes_first_is_alone_and_who_comes_meanwhile_is_not() -> None:
    """Only who finds nobody is alone, and whoever left, even by an error, is not found."""
    company = Company()
    with company.joined() as first, company.joined() as second:
        assert (first, second) == (True, False)
    with pytest.raises(ValueError, match="half way"), company.joined():
        raise ValueError("half way")
    with company.joined() as last:
        assert last
