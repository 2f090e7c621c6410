"""Fits the importance weights and prints the table of `services/ingest/weights.py`.

    python -m benchmarks.fit_importance --data DATA [--check LABELS]

DATA is a folder as `winnow evaluate importance` reads it, and the weights are fitted to its labels
alone. To the error output go the leave-one-chat-out figures and, with --check, what the new weights
make of other labels of chats in DATA, by other annotators (`importance/other_labels.jsonl` beside
this file), chat by chat. `benchmarks/importance` itself is such a folder: chats of our own, in
Ukrainian, Russian and English, to judge by (`winnow evaluate importance --data benchmarks/importance`);
so is `programs` in it, with four chats of teams to which programs post.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from services.ingest.evaluation import evaluate, read_labelled, render
from services.ingest.features import FEATURE_NAMES
from services.ingest.fitting import Fit, fit, matrix
from services.ingest.scoring import Thresholds
from services.ingest.weights import UNIT


def main() -> None:
    """Fit to the labels of a folder and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_importance")
    parser.add_argument("--data", type=Path, required=True, help="a folder with labelled chats")
    parser.add_argument("--check", type=Path, help="other labels of its chats")
    arguments = parser.parse_args()
    print(render(evaluate(arguments.data, leave_one_out=True)), file=sys.stderr)
    rows = read_labelled(arguments.data)
    features, labels = matrix([row.features for row in rows]), np.array([r.label for r in rows])
    fitted = fit(features, labels, np.zeros_like(labels))
    if arguments.check:
        check(fitted, arguments.data, arguments.check)
    thresholds = Thresholds()
    scale = (thresholds.signal - thresholds.weak) / (fitted.cuts[1] - fitted.cuts[0])
    print(f"BASE = {round((thresholds.weak - scale * fitted.cuts[0]) * UNIT)}")
    print("WEIGHTS: dict[str, int] = {")
    for name, weight in zip(FEATURE_NAMES, fitted.weights, strict=True):
        print(f'    "{name}": {round(scale * weight * UNIT)},')
    print("}")


def check(fitted: Fit, data: Path, file: Path) -> None:
    """Print how well labels that were not fitted to are met."""
    rows = read_labelled(data, file)
    met = fitted.predict(matrix([row.features for row in rows])) == [row.label for row in rows]
    for chat in sorted({row.chat for row in rows}):
        of_chat = [hit for hit, row in zip(met, rows, strict=True) if row.chat == chat]
        share = sum(of_chat) / len(of_chat)
        print(f"other labels of {chat}: {share:.3f} of {len(of_chat)}", file=sys.stderr)


if __name__ == "__main__":
    main()
