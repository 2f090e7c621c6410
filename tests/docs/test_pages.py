"""The pages that are made from the code are as the code is."""

from services.common.settings import known_names
from tools import api_page, settings_page


def test_the_settings_are_fresh() -> None:
    """docs/settings.md is what `make docs` would write, and names every setting once."""
    text = settings_page.TARGET.read_text("utf-8")
    assert text == settings_page.page()
    assert {name: text.count(f"| `{name}` |") for name in known_names()} == dict.fromkeys(
        known_names(), 1
    )


def test_the_api_is_fresh() -> None:
    """docs/api.md is what `make docs` would write, and describes every row of it."""
    text = api_page.TARGET.read_text("utf-8")
    assert text == api_page.page()
    assert [
        line for line in text.splitlines() if line.startswith("| `") and line.endswith("|  |")
    ] == []
