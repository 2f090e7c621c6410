"""Messages as the Bot API words them."""

from typing import Any

ADA = {"id": 7, "is_bot": False, "first_name": "Ada", "last_name": "L"}
TEAM = {"id": -1000000001234, "type": "supergroup", "title": "Team"}
GROUP = {"id": -55, "type": "group", "title": "Small team"}


def message(number: int, text: str = "hello", **fields: Any) -> dict[str, Any]:
    """A message in the team's chat."""
    return {
        "message_id": number,
        "date": 1714557600 + number,
        "chat": TEAM,
        "from": ADA,
        "text": text,
    } | fields
