"""Fits the importance weights and prints the table of `services/ingest/weights.py`.

    python benchmarks/fit_importance.py DATA [--labels FILE]

DATA is a folder as `winnow evaluate importance` reads it; --labels adds more labels of the same
chats, by another annotator. Prints the leave-one-chat-out figures to the error output.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from services.ingest.evaluation import evaluate, read_labelled, render
from services.ingest.features import FEATURE_NAMES
from services.ingest.fitting import fit, matrix
from services.ingest.scoring import Thresholds

UNIT = 1024


def main() -> None:
    """Fit to everything given and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--labels", type=Path)
    arguments = parser.parse_args()
    print(render(evaluate(arguments.data, leave_one_out=True)), file=sys.stderr)
    rows = read_labelled(arguments.data)
    groups = [0] * len(rows)
    if arguments.labels:
        more = read_labelled(arguments.data, arguments.labels)
        rows, groups = rows + more, groups + [1] * len(more)
    features, labels = matrix([row.features for row in rows]), np.array([r.label for r in rows])
    fitted = fit(features, labels, np.array(groups))
    thresholds = Thresholds()
    scale = (thresholds.signal - thresholds.weak) / (fitted.cuts[1] - fitted.cuts[0])
    print(f"BASE = {round((thresholds.weak - scale * fitted.cuts[0]) * UNIT)}")
    print("WEIGHTS = {")
    for name, weight in zip(FEATURE_NAMES, fitted.weights, strict=True):
        print(f'    "{name}": {round(scale * weight * UNIT)},')
    print("}")


if __name__ == "__main__":
    main()
