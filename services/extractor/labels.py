"""How people say themselves what they say: labels such as `Risk:`, and the marks of minutes.

English, Ukrainian and Russian.
"""

import re
from typing import Final

from services.extractor.writing import any_apostrophe, straight

_SETTLED_LABELS: Final = (
    "рішення", "вирішили", "вирішено", "погоджено", "узгоджено", "затверджено",
    "решение", "решили", "решено", "согласовано", "утверждено",
)  # fmt: skip
LABELS: Final = {
    "problem": ("problem", "issue", "bug", "проблема", "баг", "помилка", "ошибка"),
    "solution": (
        "solution",
        "fix",
        "fixed",
        "answer",
        "розв'язання",
        "решение проблемы",
        "відповідь",
        "ответ",
    ),
    "decision": ("decision", "decided", "agreed", *_SETTLED_LABELS),
    "question": ("question", "питання", "вопрос"),
    "idea": ("idea", "proposal", "suggestion", "ідея", "пропозиція", "идея", "предложение"),
    "blocker": ("blocker", "blocked", "блокер"),
    "risk": ("risk", "risks", "ризик", "риск"),
    "requirement": ("requirement", "вимога", "требование"),
}
_LABELS: Final = any_apostrophe("|".join(word for words in LABELS.values() for word in words))
LABELLED: Final = re.compile(
    r"\s*(?:(?:ok(?:ay)?|so|well|all ?right|ок|ну|так|отже|тоді|итак|тогда)[\s,.:!]+){0,2}"
    rf"[\[(*]{{0,2}}({_LABELS})(?: (?:від|от|по|щодо|для) [\w-]+){{0,2}}[\])*]{{0,2}}\s*:\s+",
    re.IGNORECASE,
)
MINUTES: Final = {
    "action": "decision",
    "agreed": "decision",
    "accepted": "decision",
    "decision": "decision",
    "rejected": "decision",
    "idea": "idea",
    "info": "insight",
}
MINUTED: Final = re.compile(
    rf"\s*(?:\[({'|'.join(MINUTES)})\]:?|#({'|'.join(MINUTES)}):?|(action) items?:)\s+(?=\w)",
    re.IGNORECASE,
)
MEETING: Final = re.compile(
    r"\s*(?:\[(?:topic|action|agreed|vote)\]|#(?:topic|action|agreed|info|(?:start|end)meeting)(?!\w)|new topic:)",
    re.IGNORECASE,
)
LABELLING: Final = frozenset(
    "ps note nb edit edited fyi btw error warning info debug todo fixme update question problem "
    "answer risk risks plan summary status result results reason fix fixed solution blocker blocked requirement "
    "decision important reminder step steps issue bug "
    "ризик план підсумок статус результат причина рішення блокер вимога важливо проблема задача "
    "риск итог результат причина решение блокер требование важно проблема задача "
    "нагадую напоминаю нагадування напоминание "
    "http https re fwd also example e.g i.e tldr tl;dr topic link action idea agreed "
    "питання відповідь примітка помилка увага вопрос ответ примечание ошибка внимание".split()
)


# Patterns that are blind to case take these letters of Turkish for an `i`; folding does not.
_TURKISH: Final = str.maketrans("İı", "ii")


def labelled_as(text: str) -> str | None:
    """The kind of knowledge that a text itself says it is, as in `Risk: …`."""
    minuted = MINUTED.match(text)
    if minuted is not None:
        return MINUTES[_folded(next(word for word in minuted.groups() if word))]
    match = LABELLED.match(text)
    if match is None:
        return None
    named = _folded(match.group(1))
    return next(kind for kind, words in LABELS.items() if named in words)


def _folded(word: str) -> str:
    return straight(word).translate(_TURKISH).casefold()
