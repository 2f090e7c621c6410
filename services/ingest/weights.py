"""The weights of the importance score, in 1/UNIT per unit of a feature.

Printed by `benchmarks/fit_importance.py`; VERSION changes whenever a score could.
"""

VERSION = "importance-1"
UNIT = 1024
BASE = 182
WEIGHTS: dict[str, int] = {
    "length": 222,
    "content": 90,
    "rich": 29,
    "long": 40,
    "no_content": -94,
    "one_word": -65,
    "link": 23,
    "link_only": 248,
    "code": 91,
    "code_only": -80,
    "problem": 125,
    "remedy": 88,
    "decision": 70,
    "opinion": -33,
    "advice": 87,
    "need": 43,
    "condition": 29,
    "negation": 25,
    "instruction": 17,
    "open_question": 149,
    "question": 2,
    "question_to_you": 36,
    "short_question": -62,
    "answer": 42,
    "short_answer": 87,
    "addressed": 45,
    "addressed_briefly": 22,
    "waiting": -146,
    "courtesy": -144,
    "acknowledgement": -51,
    "acknowledgement_first": -3,
    "face": -109,
    "exclamation": -106,
    "correction": -202,
    "command": -134,
    "repetition": -99,
    "automated": -88,
    "automated_length": 1,
    "stale": -92,
    "bot": -343,
    "alarm": 135,
}
