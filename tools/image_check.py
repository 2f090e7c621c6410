"""Builds deploy/Dockerfile by the guide's lines and runs the services in containers, as a cluster would, daemonless.

Needs root, and of Debian's packages: buildah, podman, runc, debootstrap. The base is BASE if that is set (an image that
can be pulled), else a Debian made by debootstrap. Everything goes below one folder (--work), kept for the next run.
"""

import argparse
import asyncio
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc

from services.cli.embedded.paths import DataDirectory
from services.cli.health import is_serving
from services.cli.running import Running, running, service_environment
from services.common.addresses import NAMES
from tools.guide import run_by

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("buildah", "podman", "runc", "debootstrap")
UID = 10001
BUILDERS = ("gcc", "g++", "c++", "make", "cmake", "ninja", "pip", "ld", "git")
UP_SECONDS = 300


def say(text: str) -> None:
    """Tell how far the check is."""
    print(f"==> {text}", flush=True)


def run(*command: str | Path, **options: object) -> str:
    """Run a command, and return what it printed; end the check with it if it fails."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(
            f"failed ({done.returncode}): {' '.join(map(str, command))}\n{done.stdout}"
        )
    return str(done.stdout)


class Engine:
    """buildah and podman on storage of their own, in the one way that works without cgroups and bridges."""

    def __init__(self, work: Path) -> None:
        self._work = work
        limits = 'default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]'
        configuration = work / "containers.conf"
        configuration.write_text(
            f'[containers]\n{limits}\n[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n'
        )
        self._storage = [
            f"--root={work / 'storage'}",
            f"--runroot={work / 'run'}",
            "--storage-driver=vfs",
        ]
        self._environment = {**os.environ, "CONTAINERS_CONF": str(configuration)}

    def buildah(self, command: str, *arguments: str, **options: object) -> str:
        """Run buildah."""
        return run("buildah", *self._storage, command, *arguments, env=self._environment, **options)

    def podman(self, command: str, *arguments: str) -> str:
        """Run podman."""
        return run("podman", *self._storage, command, *arguments, env=self._environment)

    def keep_logs(self, container: str) -> None:
        """Write down what a container said; one that was never made said nothing."""
        command = ["podman", *self._storage, "logs", container]
        with (self._work / f"{container}.log").open("wb") as log:
            subprocess.run(command, stdout=log, stderr=log, env=self._environment, check=False)

    def has(self, image: str) -> bool:
        """Whether an image is here."""
        known = json.loads(self.buildah("images", "--json") or "[]") or []
        return any(image in name for each in known for name in each.get("names") or ())


def make_base(engine: Engine, work: Path) -> str:
    """A minimal Debian with Python, if no other base is given."""
    if given := os.environ.get("BASE"):
        return given
    image = "localhost/winnow-base:check"
    if not engine.has("winnow-base:check"):
        tree = work / "root"
        if not (tree / "usr/bin/python3").exists():
            say("making a Debian with debootstrap")
            include = "--include=python3,python3-venv"
            run("debootstrap", "--variant=minbase", include, "bookworm", tree, mirror())
        say("importing it as an image")
        archive = work / "root.tar"
        run("tar", "-C", tree, "-cf", archive, ".")
        engine.podman("import", str(archive), image)
        archive.unlink()
    return image


def mirror() -> str:
    """Where this machine has its Debian packages from."""
    listed = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    return listed.split()[0]


def pip_places() -> list[str]:
    """Mounts that give the build this machine's own settings of pip, and the folders that they name."""
    debug = run(sys.executable, "-m", "pip", "config", "debug", env={**os.environ})
    files = [line.split(",")[0].strip() for line in debug.splitlines() if "exists: True" in line]
    listed = run(sys.executable, "-m", "pip", "config", "list")
    words = listed.replace("'", " ").replace("file://", " ").split()
    found = [Path(word) for word in words if word.startswith("/") and Path(word).exists()]
    # The pages of an index lead to files beside it.
    paths = [str(path.parent if path.name == "simple" else path) for path in found]
    places = sorted({*files, *paths})
    tops = [
        each for each in places if not any(each != o and each.startswith(f"{o}/") for o in places)
    ]
    return [f"--volume={path}:{path}:ro" for path in tops]


def documented() -> dict[str, list[str]]:
    """What the guide has one type to build, as arguments of `docker build` by the name of the image that they make."""
    lines = [shlex.split(line, comments=True) for block in run_by("image") for line in block.lines]
    for line in lines:
        if line[:2] != ["docker", "build"]:
            raise SystemExit(f"docs/operating.md: not a line for docker build: {shlex.join(line)}")
    return {line[line.index("-t") + 1]: line[2:] for line in lines}


def build(engine: Engine, base: str, arguments: list[str]) -> None:
    """Build as docker would with these arguments, on a base and by this machine's settings of pip."""
    say(f"building {shlex.join(arguments)} (llama.cpp is compiled the first time)")
    kept = [
        f"--env={name}={value}" for name, value in os.environ.items() if name.startswith("PIP_")
    ]
    engine.buildah(
        "bud", "--isolation=chroot", "--layers", f"--build-arg=BASE={base}", *kept, *pip_places(),
        *arguments, cwd=ROOT, stderr=sys.stderr,
    )  # fmt: skip


def check_contents(engine: Engine, image: str) -> None:
    """Nothing that builds is left, and the process is nobody's superuser."""
    search = (
        "; ".join(f"command -v {tool} && echo" for tool in BUILDERS) + "; python3 -m pip --version"
    )
    found = engine.podman(
        "run",
        "--rm",
        "--network=none",
        *LOCKED,
        "--entrypoint=sh",
        image,
        "-c",
        f"({search}) 2>/dev/null; true",
    )
    # The base's own Python may have a pip, which is not ours.
    left = [line for line in found.split("\n") if line.strip() and not line.startswith("pip ")]
    assert not left, f"the image still has {left}"


# llama.cpp has threads of its own, and the variants with AVX512_VNNI no use for its shorter form.
NOT_NEEDED = {"OPENMP", "AVX_VNNI"}


def check_processor(engine: Engine, image: str) -> None:
    """On x86-64 the image uses of this processor what llama.cpp uses here, where it was compiled for it alone."""
    program = "from services.common.llama import processor; print(processor.processor_features())"
    here = run(sys.executable, "-c", program, cwd=ROOT)
    there = engine.podman(
        "run", "--rm", "--network=none", *LOCKED, "--entrypoint=python", image, "-c", program
    )
    print(f"    llama.cpp uses {there.strip()}")
    lacking = set(here.split()) - set(there.split()) - NOT_NEEDED
    assert platform.machine() != "x86_64" or not lacking, f"not used in the image: {lacking}"


LOCKED = (
    "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp:rw,size=256m", "--cap-drop=all",
    "--security-opt=no-new-privileges", f"--user={UID}:{UID}",
)  # fmt: skip


@contextmanager
def containers(
    engine: Engine, image: str, models: Path, environments: Mapping[str, Mapping[str, str]]
) -> Iterator[None]:
    """Run a container a service, locked down as the manifests ask, and remove them at the end."""
    names = [f"winnow-check-{name}" for name in environments]
    try:
        for name, environment in environments.items():
            settings = [f"--env={key}={value}" for key, value in environment.items()]
            engine.podman(
                "run", "--detach", f"--name=winnow-check-{name}", "--network=host", *LOCKED,
                f"--volume={models}:/models:ro", *settings, image, "run", name,
            )  # fmt: skip
        yield
    finally:
        for name in names:
            engine.keep_logs(name)
        engine.podman("rm", "--force", "--ignore", "--time=15", *names)


def check_process(engine: Engine, name: str) -> None:
    """The process has no user of weight, no capability, no way to gain any, and cannot write its root."""
    container = f"winnow-check-{name}"
    pid = engine.podman("inspect", "--format={{.State.Pid}}", container).strip()
    if pid == "0":
        raise SystemExit(f"the container of {name} has ended; what it said is in {container}.log")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    assert status["Uid"].split() == [str(UID)] * 4, status["Uid"]
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0, (capabilities, status[capabilities])
    assert status["NoNewPrivs"].strip() == "1"
    root = next(
        line.split()
        for line in Path(f"/proc/{pid}/mounts").read_text().splitlines()
        if line.split()[1] == "/"
    )
    assert "ro" in root[3].split(","), root
    print(f"    {name}: uid {UID}, no capabilities, no new privileges, read-only root")


async def serving(address: str) -> None:
    """Wait until a service's health says that it serves."""
    async with asyncio.timeout(UP_SECONDS), grpc.aio.insecure_channel(address) as channel:
        while True:
            try:
                if await is_serving(channel):
                    return
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.2)


def environment_of(name: str, up_now: Running, addresses: Mapping[str, str]) -> dict[str, str]:
    """The settings of a service in a container, which sees none of our files: the owner's login to NATS will do."""
    every = service_environment(up_now.runtime, name, addresses)
    ours = {key: value for key, value in every.items() if key.startswith("WINNOW_")}
    del ours["WINNOW_NATS_URL"]
    ours.pop("WINNOW_NATS_NKEY_FILE", None)
    return ours | {"WINNOW_MODELS_DIR": "/models", "WINNOW_NATS_URL": up_now.runtime.nats_url}


async def check_services(engine: Engine, image: str, models: Path, folder: Path) -> None:
    """Bring PostgreSQL and NATS up here, the services in containers, and run the demo against them."""
    data = DataDirectory(folder / "data")
    async with running(data, {}, lambda _: None, names=()) as up_now:
        addresses = up_now.target.addresses
        ours = {name: environment_of(name, up_now, addresses) for name in NAMES}
        say("starting the four services in containers")
        with containers(engine, image, models, ours):
            await asyncio.gather(*(serving(addresses[name]) for name in NAMES))
            for name in NAMES:
                check_process(engine, name)
            say("running the demo against them")
            client = {
                f"WINNOW_{name.upper()}_ADDRESS": address for name, address in addresses.items()
            }
            demo = await asyncio.to_thread(
                run, sys.executable, "-m", "services", "demo", "--running", "--json",
                env={**os.environ, **client, "WINNOW_API_KEY": up_now.target.api_key},
            )  # fmt: skip
            state = json.loads(demo)
            assert state["vectors"] > 0
            assert state["vectors_missing"] == state["tasks_dead"] == 0, state
            assert all(question["results"] for question in state["questions"])
            print(
                f"    {state['messages']} messages, {state['atoms']} atoms, {state['vectors']} vectors, 0 missing"
            )


def main() -> None:
    """Check what is needed, then build, look and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/winnow-image"))
    parser.add_argument(
        "--built", action="store_true", help="only look into the image that the last run built"
    )
    parser.add_argument("--models", type=Path, default=Path.home() / ".cache/winnow/models")
    options = parser.parse_args()
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if os.geteuid() or missing:
        packages = f"; missing here: apt-get install {' '.join(missing)}" if missing else ""
        raise SystemExit(f"this check needs root and Debian's {', '.join(TOOLS)}{packages}")
    options.work.mkdir(parents=True, exist_ok=True)
    engine = Engine(options.work)
    images = documented()
    image = next(f"localhost/{name}" for name, line in images.items() if "service" in line)
    if not options.built:
        base = make_base(engine, options.work)
        for arguments in images.values():
            build(engine, base, arguments)
    size = int(json.loads(engine.podman("image", "inspect", image))[0]["Size"])
    say(f"looking into the image ({size >> 20} MiB)")
    check_contents(engine, image)
    check_processor(engine, image)
    with tempfile.TemporaryDirectory(prefix="winnow-image-") as folder:
        os.chmod(folder, 0o755)
        asyncio.run(check_services(engine, image, options.models, Path(folder)))
    say("the image is fit to run")


if __name__ == "__main__":
    main()
