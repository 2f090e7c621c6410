"""How a search was done, for a person."""

from google.protobuf.duration_pb2 import Duration
from rich.markup import escape
from rich.table import Table

from services.cli.options import Session
from services.cli.values import counted, word
from winnow.search.v1 import search_pb2 as pb

# Of a search that compares no vectors, and counts no rows to choose how.
_NO_PLAN = "none"
_STEPS = ("wait", "embed", "semantic", "keyword", "fetch", "rerank", "total")


def explain(session: Session, how: pb.Explanation) -> None:
    """Print the plan, the words that were looked for, and where the time went."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    if how.semantic_plan != _NO_PLAN:
        table.add_row("by meaning", escape(f"{how.semantic_plan}: {how.plan_reason}"))
        table.add_row("rows", f"{how.estimated_rows:,} of {how.total_rows:,} satisfy the filter")
    table.add_row(
        "candidates", f"{how.semantic_candidates} by meaning, {how.keyword_candidates} by words"
    )
    if how.fusion:
        weights = f"meaning {how.semantic_weight:.2f}, words {how.keyword_weight:.2f}"
        table.add_row("joined", f"by {word(pb.Fusion, how.fusion)}; weights: {weights}")
    for term in how.terms:
        where = f"in {counted(term.documents, 'text')}, weight {term.weight:.1f}"
        table.add_row(
            "name" if term.is_name else "word", escape(f"{term.text} ({where}): {term.query}")
        )
    times = [f"{name} {_milliseconds(getattr(how, f'{name}_duration'))}" for name in _STEPS]
    table.add_row("took", ", ".join(time for time in times if not time.endswith(" 0 ms")))
    session.console.print(table)


def _milliseconds(duration: Duration) -> str:
    return f"{duration.ToTimedelta().total_seconds() * 1000:.0f} ms"
