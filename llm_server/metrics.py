"""What llm_server counts beside what every service counts."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from llm_server.engines.engine import Engine


class LlmMetrics:
    """`yiju_llm_*` on one app's registry."""

    def __init__(self, registry: CollectorRegistry, engine: Engine) -> None:
        self.tokens = Counter("yiju_llm_tokens_generated_total", "Tokens generated", registry=registry)
        self.prompt_tokens = Counter("yiju_llm_tokens_prompt_total", "Tokens of prompts answered", registry=registry)
        self.cancelled = Counter("yiju_llm_cancelled_total", "Answers whose client hung up", registry=registry)
        self.rejected = Counter("yiju_llm_rejected_total", "Requests refused for a full queue", registry=registry)
        self.failed = Counter("yiju_llm_failed_total", "Answers in which the model broke", registry=registry)
        self.ttft = Histogram(
            "yiju_llm_ttft_seconds",
            "Seconds from the moment a request is queued to its first text",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
            registry=registry,
        )
        self.between_tokens = Histogram(
            "yiju_llm_inter_token_seconds",
            "Seconds between two pieces of text of one answer",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=registry,
        )
        registry.register(_EngineLoad(engine))


class _EngineLoad(Collector):
    """What the engine tells of itself, all from one look at it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        load = self._engine.load()
        for name, help_text, value in (
            ("queue_depth", "Requests that wait for the model", load.waiting),
            ("running", "Requests being generated", load.running),
            ("tokens_per_second", "Tokens generated in a second, lately", load.tokens_per_s),
            ("kv_tokens_used", "Tokens of KV memory promised to requests", load.kv_used),
            ("kv_tokens_total", "Tokens of KV memory there are for requests", load.kv_total),
            ("prefix_tokens_kept", "Tokens of KV memory kept for prompts to come", load.prefix_tokens_kept),
        ):
            yield GaugeMetricFamily(f"yiju_llm_{name}", help_text, value)
        for name, help_text, value in (
            ("prefix_lookups", "Prompts for which a known beginning was looked for", load.prefix_lookups),
            ("prefix_hits", "Prompts that took over a known beginning", load.prefix_hits),
            ("prefix_tokens_reused", "Tokens of prompts that need not be read again", load.prefix_tokens_reused),
        ):
            yield CounterMetricFamily(f"yiju_llm_{name}", help_text, value)
