"""A provider whose model gives other atoms each time it is asked, takes its time, and refuses poison for good."""

import json
import random
import re
import time
from typing import Any

from services.common.errors import WinnowError
from tests.extractor.provider import Handler, Provider
from tests.faults.plans import LEASE_SECONDS, POISON

_LINE = re.compile(r"^\[(\d+)\] [^:]*: (.*)$", re.MULTILINE)


class RandomProvider(Provider):
    """Answers an extraction with one to three atoms of its messages, worded anew each time."""

    def __init__(self, slow: float = 0.03) -> None:
        super().__init__()
        self.slow = slow

    def _well(self, handler: Handler, body: dict[str, Any]) -> None:
        outlives_its_lease = random.random() < self.slow
        time.sleep(LEASE_SECONDS + 0.3 if outlives_its_lease else random.uniform(0, 0.04))
        prompt = body["messages"][-1]["content"]
        if POISON in prompt:
            return self._send(handler, 400, b'{"error": {"message": "refused"}}')
        return self._complete(handler, _extraction(prompt))


def _extraction(prompt: str) -> str:
    said = [(int(number), text) for number, text in _LINE.findall(prompt)]
    if not said:
        raise WinnowError("the prompt holds no messages: has its form changed?")
    chosen = random.sample(said, min(len(said), random.randint(1, 3)))
    atoms = [
        {
            "ids": [number],
            "quote": text[:40].strip(),
            "type": random.choice(("problem", "solution", "insight")),
            "title": text[:60].strip(),
            "content": f"{text[:150].strip()} (told in the words {random.getrandbits(32):x})",
        }
        for number, text in chosen
    ]
    topics = [{"title": said[0][1][:50].strip(), "ids": [number for number, _ in said[:8]]}]
    return json.dumps({"atoms": atoms, "topics": topics})
