"""The fenced blocks of the pages, and who runs each: what is documented is run, and what nobody runs is found."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("*.md", "docs/**/*.md", "examples/**/*.md", "deploy/**/*.md", "benchmarks/**/*.md")
_PART = re.compile(
    r"^#+ (?P<heading>[^\n]+)$|^ *```(?P<language>[^\n]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)

# By page and heading, who runs the blocks of commands and programs below it, in their order.
RUNNERS = {
    ("README.md", "Two commands"): ("make",),
    ("README.md", "Using it"): ("start", "command"),
    ("README.md", "From your own program"): ("program", "grpcurl"),
    ("docs/importing.md", "JSON Lines"): ("jsonl",),
    ("docs/operating.md", "Your own PostgreSQL and NATS"): ("servers",),
    ("docs/operating.md", "Kubernetes"): ("image", "cluster"),
    ("docs/operating.md", "Backing up and restoring"): ("backup", "restore"),
    ("docs/operating.md", "Upgrading"): ("upgrade",),
    ("docs/operating.md", "Rotating keys"): ("keys",),
    ("docs/operating.md", "When the database's clock was put back"): ("clock",),
    **{
        ("docs/grpcurl.md", heading): ("grpcurl",)
        for heading in (
            "Cookbook for grpcurl", "Looking around", "Waiting and watching", "Vectors", "Failing",
        )
    },
    ("docs/grpcurl.md", "Storing messages"): ("grpcurl",) * 4,
    ("docs/grpcurl.md", "Searching"): ("grpcurl",) * 3,
    ("docs/grpcurl.md", "Knowledge"): ("grpcurl",) * 3,
    ("docs/grpcurl.md", "Changing and erasing"): ("grpcurl",) * 2,
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    heading: str
    language: str
    text: str

    @property
    def lines(self) -> list[str]:
        """Its commands, those that go on in the next line as one, comments left as they are."""
        joined = re.sub(r"\\\n\s*", "", self.text)
        return [line for line in joined.splitlines() if line.strip()]


def blocks_of(text: str, page: str) -> Iterator[Block]:
    """The blocks of a page's text, each below the heading that is nearest above it."""
    heading = ""
    for found in _PART.finditer(text):
        if found["heading"]:
            heading = found["heading"]
        else:
            yield Block(page, heading, found["language"].strip(), found["text"])


def pages() -> list[Path]:
    """Every page that a reader may find commands in."""
    return sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})


def blocks() -> list[Block]:
    """The blocks of all pages."""
    return [
        block
        for path in pages()
        for block in blocks_of(path.read_text("utf-8"), str(path.relative_to(ROOT)))
    ]


def run_by(runner: str) -> list[Block]:
    """The blocks that a runner has to run, in their order."""
    return [block for block, found in assigned(blocks()) if found == runner]


def assigned(found: list[Block]) -> Iterator[tuple[Block, str | None]]:
    """Blocks of commands and programs with who runs each, None if nobody does."""
    seen: dict[tuple[str, str], int] = {}
    for block in found:
        if not block.language:
            continue
        place = block.page, block.heading
        nth = seen[place] = seen.get(place, -1) + 1
        runners = RUNNERS.get(place, ())
        yield block, runners[nth] if nth < len(runners) else None


def examples() -> dict[str, str]:
    """What the page of the examples has one type, by the file that it runs."""
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    return dict(re.findall(r"^\| `(\S+)` \| .* \| `(.+)` \|$", text, re.MULTILINE))
