"""Chats as prompts: the model's own template around contents that can never act as markup."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from services.common.llama.errors import BadTemplate
from services.common.llama.native import Weights, render_template

Message = Mapping[str, str]
"""One turn of a chat: its role (system, user or assistant) and its content."""

# Private-use characters stand for the contents while the template is rendered.
_PLACE: Final = "\ue000{}\ue001"
_PLACES: Final = re.compile("\ue000(\\d+)\ue001")
_PLAIN_TEMPLATE: Final = (
    "{% for message in messages %}{{ message.role }}: {{ message.content }}\n\n{% endfor %}"
    "assistant:"
)


class ChatTemplate:
    """The template in the model's metadata, or a plain one where it has none."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._template = weights.chat_template() or _PLAIN_TEMPLATE

    def tokenize(self, messages: Sequence[Message]) -> list[int]:
        """Return the chat as tokens, ending where the assistant begins to answer.

        Only the template's own text can give control tokens; those spelt in a content are text.
        """
        try:
            return self._tokenize(messages)
        except BadTemplate:
            merged = _merge_system(messages)
            if merged == list(messages):
                raise
            return self._tokenize(merged)

    def _tokenize(self, messages: Sequence[Message]) -> list[int]:
        turns = [(turn["role"], _PLACE.format(index)) for index, turn in enumerate(messages)]
        rendered = render_template(self._weights, self._template, turns)
        tokens: list[int] = []
        for index, piece in enumerate(_PLACES.split(rendered)):
            markup = index % 2 == 0
            text = piece if markup else messages[int(piece)]["content"]
            tokens += self._weights.tokenize(text, special=False, markup=markup).tolist()
        return self._weights.with_start(tokens)


def _merge_system(messages: Sequence[Message]) -> list[Message]:
    """Put the system's words before the user's first, for templates without that role."""
    system = "\n\n".join(turn["content"] for turn in messages if turn["role"] == "system")
    turns = [turn for turn in messages if turn["role"] != "system"]
    if system and turns:
        turns[0] = {"role": turns[0]["role"], "content": f"{system}\n\n{turns[0]['content']}"}
    return turns
