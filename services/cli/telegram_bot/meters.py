"""What a bot shows of itself to Prometheus, beside the metrics of its process."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from services.cli.telegram_bot.receiving import Receiver


class BotMeters(Collector):
    """The tally of a receiver, read whenever metrics are."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @classmethod
    def of(cls, receiver: Receiver) -> CollectorRegistry:
        """Everything that the process of a bot shows."""
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(cls(receiver))
        return registry

    def collect(self) -> Iterable[Metric]:
        """Return what was received so far, and when the bot last had all that Telegram had."""
        tally = self._receiver.tally
        for name, what, count in (
            ("updates", "Updates of Telegram that were taken.", tally.updates),
            ("messages", "Messages that ingest has been given.", tally.messages),
            ("rejected", "Messages that ingest refused.", tally.rejected),
        ):
            yield CounterMetricFamily(f"winnow_bot_{name}", what, count)
        what = "Updates that hold nothing to be stored, by why."
        skipped = CounterMetricFamily("winnow_bot_skipped", what, labels=["reason"])
        for reason, count in sorted(tally.skipped.items()):
            skipped.add_metric([reason], count)
        yield skipped
        what = "When what Telegram had was last known to be saved: at the end of each poll, or with a pushed update."
        yield GaugeMetricFamily("winnow_bot_level_timestamp_seconds", what, self._receiver.level_at)
