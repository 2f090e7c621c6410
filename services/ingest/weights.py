"""The weights of the importance score, in 1/UNIT per unit of a feature.

Printed by `benchmarks/fit_importance.py`; VERSION changes whenever a score could.
"""

VERSION = "importance-2"
UNIT = 1024
BASE = 179
WEIGHTS: dict[str, int] = {
    "length": 171,
    "content": 51,
    "long": 42,
    "no_content": -87,
    "one_word": -60,
    "specific": 60,
    "several_specific": 41,
    "no_specific": -34,
    "topical": 24,
    "link_only": 220,
    "code": 85,
    "code_only": -92,
    "problem": 127,
    "remedy": 84,
    "decision": 128,
    "advice": 87,
    "condition": 41,
    "instruction": 26,
    "open_question": 132,
    "question_to_you": 27,
    "short_question": -58,
    "answer": 46,
    "short_answer": 89,
    "addressed": 42,
    "addressed_briefly": 18,
    "waiting": -133,
    "courtesy": -132,
    "acknowledgement": -44,
    "face": -92,
    "exclamation": -87,
    "correction": -178,
    "command": -119,
    "repetition": -87,
    "near_repetition": -87,
    "compact_language": 122,
    "automated": 90,
    "automated_specific": 71,
    "automated_repeat": -68,
    "stale": -51,
    "bot": -104,
    "alarm": 57,
}
