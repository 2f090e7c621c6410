"""How often `winnow ask` answers where a question names who is to have said it, rightly and falsely.

    winnow up --data-dir DIR        # in another terminal, with nothing in it yet
    python -m benchmarks.asking --data-dir DIR

Chats of ours are read into one workspace, and the questions of benchmarks/asking/named.toml asked without a language
model. Of each set it prints how many of those that nothing answers were answered all the same, how many of the others
were, and in how many of these what is quoted has the answer, or what is shown as nearest does.
"""

import argparse
import json
import subprocess
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[1]
_IMPORTANCE = _ROOT / "benchmarks" / "importance"
CHATS = (
    _IMPORTANCE / "english-kitchen.result.json",
    _IMPORTANCE / "ukrainian-team.result.json",
    _ROOT / "services" / "cli" / "demo" / "chat.json",
    _IMPORTANCE / "ukrainian-agency.result.json",
)


def main() -> None:
    """Read the chats, ask, and print one line a question and one JSON object a set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="of a running `winnow up`")
    parser.add_argument("--read", action="store_true", help="the chats have been read already")
    chosen = parser.parse_args()
    where = ["--json", "--data-dir", str(chosen.data_dir)]
    for chat in () if chosen.read else CHATS:
        _winnow("demo", "--running", "--chat", str(chat), *where)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    questions = (_ROOT / "benchmarks" / "asking" / "named.toml").read_text("utf-8")
    for question in tomllib.loads(questions)["question"]:
        found = json.loads(_winnow("ask", "--quote", question["text"], *where))
        judged = judge(found, question["answer"])
        counts[question["set"]].update(judged)
        print(f"{found['kind']:8} {', '.join(judged):40} {question['text']}", flush=True)
    for name, counted in counts.items():
        print(json.dumps({"set": name, **counted}))


def judge(found: dict[str, Any], answer: str) -> list[str]:
    """What an answer of `winnow ask --json` counts as."""
    answered = found["kind"] != "unknown"
    if not answer:
        return ["unanswerable", *(["answered falsely"] if answered else [])]
    texts = {item["citation"]: item["text"] for item in found["context"]["items"]}
    cited = [*(each["citation"] for each in found["sentences"]), *found["nearest"]]
    is_shown = any(answer.casefold() in texts[each].casefold() for each in cited)
    counts = ["answerable", *(["answered"] if answered else [])]
    if is_shown:
        counts.append("answer quoted" if answered else "answer among the nearest")
    return counts


def _winnow(*arguments: str) -> str:
    asked = subprocess.run(["winnow", *arguments], capture_output=True, text=True)
    if asked.returncode:
        raise SystemExit(asked.stderr)
    return asked.stdout


if __name__ == "__main__":
    main()
