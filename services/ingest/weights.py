"""The weights of the importance score, in 1/UNIT per unit of a feature.

Printed by `benchmarks/fit_importance.py`; VERSION changes whenever a score could.
"""

VERSION = "importance-1"
UNIT = 1024
BASE = 178
WEIGHTS: dict[str, int] = {
    "length": 226,
    "content": 93,
    "rich": 25,
    "long": 37,
    "long_words": -8,
    "no_content": -103,
    "one_word": -69,
    "link": -1,
    "link_only": 213,
    "code": 94,
    "code_only": -76,
    "problem": 120,
    "remedy": 90,
    "decision": 52,
    "opinion": -38,
    "advice": 81,
    "need": 41,
    "condition": 13,
    "negation": 26,
    "instruction": 4,
    "open_question": 167,
    "question": 4,
    "question_to_you": 43,
    "short_question": -68,
    "answer": 40,
    "short_answer": 4,
    "addressed": 46,
    "addressed_briefly": 28,
    "waiting": -165,
    "courtesy": -159,
    "acknowledgement": -60,
    "acknowledgement_first": -7,
    "face": -133,
    "exclamation": -130,
    "correction": -235,
    "command": -137,
    "repetition": -117,
    "automated": -81,
    "automated_length": 10,
    "stale": -86,
    "bot": -325,
}
