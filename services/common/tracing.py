"""Traces: one message can be followed from its call through task, hint, model and SQL until it can be searched.

Off, which is the default, a span is one look at a context variable. On, calls are sampled; what belongs to a
sampled call carries its W3C context: in the metadata of calls, and in the row of every task that the call makes.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from time import time_ns
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import Link, NoOpTracer, Span, SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import AfterValidator, Field

from services.common.addresses import is_on_this_machine
from services.common.channels import WITHOUT_PROXY
from services.common.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_W3C = TraceContextTextMapPropagator()
_EXPORT_SECONDS = 3

Value = str | int | float | bool


def _collector(endpoint: str) -> str:
    """The address of a collector if it is one, or none."""
    if endpoint and not _host(endpoint):
        raise ValueError("must be an address such as http://127.0.0.1:4317")
    return endpoint


def _host(endpoint: str) -> str:
    """The host of an address, which need not begin with a scheme; empty if it has none."""
    try:
        return urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname or ""
    except ValueError:
        return ""


class TraceSettings(Settings):
    """Where traces are sent, and how many calls are followed."""

    traces_endpoint: Annotated[str, AfterValidator(_collector)] = Field(
        default="", description="URL of an OTLP collector (gRPC); without one nothing is traced"
    )
    traces_sampled_ratio: float = Field(default=0.01, ge=0, le=1)


class _Tracing:
    """The tracer of this process."""

    def __init__(self) -> None:
        self.tracer: Tracer = NoOpTracer()
        self.is_on = False


_tracing = _Tracing()


def is_on() -> bool:
    """Whether anything is traced in this process."""
    return _tracing.is_on


@contextmanager
def tracing(
    settings: TraceSettings, name: str, exporter: "SpanExporter | None" = None
) -> Iterator[None]:
    """Trace until the end, under the name of a service; to the collector that is set, unless an exporter is given."""
    exporter = exporter or _exporter(settings.traces_endpoint)
    if exporter is None:
        yield
        return
    # Imported here, since most processes never need them.
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415

    provider = TracerProvider(
        sampler=ParentBasedTraceIdRatio(settings.traces_sampled_ratio),
        resource=Resource.create({"service.name": f"winnow-{name}"}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(exporter))
    before = _tracing.tracer, _tracing.is_on
    _tracing.tracer, _tracing.is_on = provider.get_tracer("winnow"), True
    try:
        yield
    finally:
        _tracing.tracer, _tracing.is_on = before
        provider.shutdown()


def _exporter(endpoint: str) -> "SpanExporter | None":
    if not endpoint:
        return None
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    # The exporter hands all options on, whatever its type says that their values are.
    options: Any = (WITHOUT_PROXY,) if is_on_this_machine(_host(endpoint)) else None
    return OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS, channel_options=options)


def span(name: str, **attributes: Value) -> AbstractContextManager[Span | None]:
    """A step of the trace that is going on; nothing where none is."""
    if not trace.get_current_span().is_recording():
        return nullcontext()
    return _tracing.tracer.start_as_current_span(name, attributes=_named(attributes))


def note(**attributes: Value) -> None:
    """Add what has become known to the step that is going on."""
    trace.get_current_span().set_attributes(_named(attributes))


def traceparent() -> str:
    """The W3C context of the step that is going on; empty where nothing is followed."""
    if not trace.get_current_span().is_recording():
        return ""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier["traceparent"]


def metadata() -> tuple[tuple[str, str], ...]:
    """The metadata that lets another service go on with this trace."""
    parent = traceparent()
    return (("traceparent", parent),) if parent else ()


def log_fields() -> dict[str, str]:
    """The ids that tie a line of the logs to its trace."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


@contextmanager
def call_span(method: str, incoming: Sequence[tuple[str, Any]]) -> Iterator[None]:
    """The step that answers a call; it goes on with the caller's trace if there is one.

    The context is not taken back: gRPC answers each call in a task of its own, and may close a stream in another one.
    """
    if not _tracing.is_on:
        yield
        return
    carrier = {key: value for key, value in incoming if key == "traceparent"}
    parent = _W3C.extract(carrier)
    made = _tracing.tracer.start_span(
        method.lstrip("/"), parent, SpanKind.SERVER, {"rpc.system": "grpc"}
    )
    contexts.attach(trace.set_span_in_context(made))
    try:
        yield
    except Exception as error:
        made.set_attribute("error.type", type(error).__name__)
        raise
    finally:
        made.end()


@contextmanager
def batch_span(name: str, parents: Mapping[Any, str], tasks: int) -> Iterator[None]:
    """A step that works on many tasks at once, for each of the traces that made them.

    It belongs to the first of them; every other one gets a step of the same length that links to it.
    """
    distinct = list(dict.fromkeys(parents.values()))
    if not distinct:
        yield
        return
    first, *others = [_W3C.extract({"traceparent": parent}) for parent in distinct]
    links = [Link(trace.get_current_span(other).get_span_context()) for other in others]
    attributes = _named({"tasks": tasks})
    began = time_ns()
    with _tracing.tracer.start_as_current_span(
        name, first, SpanKind.CONSUMER, attributes, links
    ) as made:
        try:
            yield
        finally:
            link = Link(made.get_span_context())
            for other in others:
                _tracing.tracer.start_span(
                    name, other, SpanKind.CONSUMER, attributes, [link], start_time=began
                ).end()


def mark(name: str, parents: Mapping[Any, str]) -> None:
    """Record a moment in each of some traces."""
    for parent in dict.fromkeys(parents.values()):
        context = _W3C.extract({"traceparent": parent})
        _tracing.tracer.start_span(name, context, SpanKind.PRODUCER).end()


def _named(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {f"winnow.{name}": value for name, value in attributes.items()}
