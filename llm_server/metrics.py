"""What llm_server counts beside what every service counts."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
        waiting = Gauge("yiju_llm_queue_depth", "Requests that wait for the model", registry=registry)
        waiting.set_function(lambda: engine.load().waiting)
        running = Gauge("yiju_llm_running", "Requests being generated", registry=registry)
        running.set_function(lambda: engine.load().running)
