"""The workloads that bars are about, in rounds: both engines and the raw passes, close together in time.

On a shared machine the speed of everything drifts by a third within minutes. So within a round the engines are asked
the same questions one right after the other, with the raw passes before and after; every second round runs backwards;
and ratios are taken within a round, whose median over the rounds counts.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tools.llm_bench.clients import Figures, Server, run_together
from tools.llm_bench.references import Costs, Measurer, averaged
from tools.llm_bench.workloads import RAG, SHORT, Workload, conversation, longest_stall, single


@dataclass(frozen=True)
class Round:
    """`raw` are the passes as they were around it."""

    raw: Costs
    figures: list[Figures]

    def of(self, engine: str, clients: int) -> Figures:
        return next(one for one in self.figures if (one.engine, one.clients) == (engine, clients))


@dataclass(frozen=True)
class Stall:
    """The longest pause of a stream while a long prompt is admitted, seconds."""

    raw: Costs
    seconds: float


Show = Callable[[Figures], Figures]


def short_rounds(rounds: int, serial: Server, batch: Server, measurer: Measurer, show: Show) -> Iterator[Round]:
    """Of 1, 10 and 32 clients on `batch`, 1 and 10 on `serial`."""
    plan = [(batch, 1), (serial, 1), (batch, 32), (batch, 10), (serial, 10)]
    return _rounds(rounds, SHORT, plan, measurer.short, show)


def rag_rounds(rounds: int, serial: Server, batch: Server, measurer: Measurer, show: Show) -> Iterator[Round]:
    """Of ten distinct prompts."""
    return _rounds(rounds, RAG, [(batch, 10), (serial, 10)], measurer.rag, show)


def stalls(rounds: int, batch: Server, measurer: Measurer) -> list[Stall]:
    found = []
    for _ in range(rounds):
        before, seconds = measurer.stall(), longest_stall(batch.url)
        found.append(Stall(averaged(before, measurer.stall()), seconds))
    return found


def _rounds(
    rounds: int,
    workload: Workload,
    plan: Sequence[tuple[Server, int]],
    raw: Callable[[], Costs],
    show: Show,
) -> Iterator[Round]:
    for number in range(rounds):
        # The same questions for both engines: how long an answer gets is the question's doing.
        asked = {
            clients: [conversation(plan[0][0].url, workload.prompt_tokens) for _ in range(clients)]
            for _, clients in plan
        }
        before, figures = raw(), []
        for server, clients in plan[:: -1 if number % 2 else 1]:
            talks = [single(server.url, one, workload.max_tokens) for one in asked[clients]]
            figures.append(show(run_together(server, workload.name, talks)))
        yield Round(averaged(before, raw()), figures)
