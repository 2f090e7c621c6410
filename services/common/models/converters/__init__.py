"""Turn model files of other forms into GGUF, with numpy alone and always the same bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from services.common.models.converters.e5 import convert_e5
from services.common.models.converters.minilm import convert_minilm

Converter = Callable[[Mapping[str, Path], Path], None]

CONVERTERS: Final[Mapping[str, Converter]] = {"e5": convert_e5, "minilm": convert_minilm}
