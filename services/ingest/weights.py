"""The weights of the importance score, in 1/UNIT per unit of a feature.

Printed by `benchmarks/fit_importance.py`; VERSION changes whenever a score could.
"""

VERSION = "importance-7"
UNIT = 1024
BASE = 187
WEIGHTS: dict[str, int] = {
    "length": 159,
    "content": 71,
    "long": 26,
    "no_content": -90,
    "one_word": -51,
    "specific": 53,
    "several_specific": 24,
    "no_specific": -35,
    "topical": 26,
    "link_only": 226,
    "code": 87,
    "code_only": -93,
    "problem": 135,
    "remedy": 86,
    "decision": 105,
    "advice": 89,
    "condition": 24,
    "instruction": 72,
    "open_question": 162,
    "question_to_you": 1,
    "short_question": 9,
    "answer": 47,
    "short_answer": 74,
    "aside": -69,
    "report": 43,
    "life": -72,
    "addressed": 43,
    "addressed_briefly": 20,
    "waiting": -109,
    "courtesy": -135,
    "acknowledgement": -45,
    "face": -139,
    "exclamation": -90,
    "correction": -183,
    "command": -179,
    "repetition": -90,
    "near_repetition": -90,
    "compact_language": 134,
    "automated": 91,
    "automated_specific": 73,
    "automated_repeat": -71,
    "stale": -53,
    "bot": -46,
    "alarm": 120,
}
