"""The embedder as the entry point runs it, over a model without meaning: `python -m tests.faults.process`.

Its model refuses poison for good, and now and then it does not answer.
"""

import hashlib
import os
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import numpy as np
import uvloop

from services.common.addresses import AddressSettings
from services.common.errors import ModelUnavailable
from services.common.failpoints import FailpointSettings, arm
from services.common.service import run
from services.common.settings import refuse_unknown
from services.common.telemetry import LogSettings, start_logging
from services.common.testing import FakeEncoder, Tokens, spell
from services.common.vectors import Matrix
from services.embedder.generations import ModelIdentity
from services.embedder.models import LoadedModel
from services.embedder.service import open_service
from tests.faults.plans import POISON

SILENT = "FAULTS_ENCODER_SILENT"


class FaultyEncoder(FakeEncoder):
    """Gives poison a vector that is none, and does not answer as often as it is told."""

    def __init__(self, silent: float) -> None:
        super().__init__(dimensions=32)
        self._silent = silent

    async def encode(self, token_lists: Sequence[Tokens], **lane: bool) -> Matrix:
        """Return a vector for each list."""
        if random.random() < self._silent:
            raise ModelUnavailable("the model does not answer")
        vectors = await super().encode(token_lists, **lane)
        for place, tokens in enumerate(token_lists):
            if POISON in spell(tokens):
                vectors[place] = np.nan
        return vectors


@asynccontextmanager
async def open_model(model: str) -> AsyncIterator[LoadedModel]:
    """The same model whatever the name."""
    digest = hashlib.sha256(b"faults").hexdigest()
    identity = ModelIdentity("faults", digest, 32, "mean", "q: ", "p: ")
    yield LoadedModel(identity, FaultyEncoder(float(os.environ.get(SILENT, "0"))), 100.0)


if __name__ == "__main__":
    refuse_unknown()
    start_logging(LogSettings.read())
    arm(FailpointSettings.read(), AddressSettings.read())
    uvloop.run(run({"embedder": partial(open_service, open_model)}))
