"""Runs what the pages show and what takes too long for the tests: the demo, and an installation by npm."""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from services.common.addresses import NAMES
from tests.conftest import make_scratch
from tests.pipeline.up import up
from tools.guide import ROOT, examples, run_by

SUITE = "make test"  # which runs the tests, these pages' among them; a build server's own command


def say(text: str) -> None:
    """Tell what is run."""
    sys.stdout.write(f"==> {text}\n")
    sys.stdout.flush()


def typed(line: str, folder: Path, **more: str) -> str:
    """Type a line and return what it printed; end with it if it fails."""
    say(line)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        cwd=folder,
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"failed ({done.returncode}): {line}\n{done.stdout}")
    return done.stdout


def the_demo() -> None:
    """The first line of the README, which ends with nothing missing and nothing dead."""
    for line in (line for block in run_by("make") for line in block.lines):
        if not line.startswith(SUITE):
            printed = typed(line, ROOT)
            if not re.search(r"\(0 missing\), 0 dead tasks\ndone in \d+ s\n$", printed):
                raise SystemExit(f"not what the README shows:\n{printed}")


def the_javascript_client() -> None:
    """The example in JavaScript with what npm installs for it, in a copy of the checkout."""
    if not shutil.which("npm"):
        raise SystemExit("this needs node and npm")
    with TemporaryDirectory() as copy, make_scratch() as scratch, up(scratch / "data") as running:
        for name in ("examples", "protos", "third_party/buf"):
            shutil.copytree(ROOT / name, Path(copy) / name)
        ports = json.loads((running.data / "runtime.json").read_text())["ports"]
        places = {f"WINNOW_{name.upper()}_ADDRESS": f"127.0.0.1:{ports[name]}" for name in NAMES}
        key = (running.data / "secrets" / "api-key").read_text().strip()
        printed = typed(examples()["client.mjs"], Path(copy), WINNOW_API_KEY=key, **places)
        if "staging database ran out of connections" not in printed:
            raise SystemExit(f"the client did not find what it stored:\n{printed}")


def main() -> None:
    """Run them one after the other."""
    argparse.ArgumentParser("python -m tests.docs.check", description=__doc__).parse_args()
    the_demo()
    the_javascript_client()
    say("what the pages show can be typed")


if __name__ == "__main__":
    main()
