"""The workloads that bars are about, in rounds: both engines and the raw passes, close together in time.

On a shared machine the speed of everything drifts by a fifth within minutes. So within a round the engines are asked
the same questions one right after the other, with the raw passes before and after; every second round runs backwards;
and ratios are taken within a round, whose median over the rounds counts.
"""

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tools.llm_bench.clients import Figures, Messages, Server, merged, run_together
from tools.llm_bench.references import Costs, Measurer, averaged
from tools.llm_bench.workloads import RAG, SHORT, Workload, conversation, longest_stall, single


@dataclass(frozen=True)
class Round:
    """`raw` are the passes as they were around it."""

    raw: Costs
    figures: list[Figures]

    def of(self, engine: str, clients: int) -> Figures:
        """The mean, where it was measured before and after others."""
        return merged([one for one in self.figures if (one.engine, one.clients) == (engine, clients)], statistics.mean)


@dataclass(frozen=True)
class Stall:
    """The longest pause of a stream while a long prompt is admitted, seconds."""

    raw: Costs
    seconds: float


Show = Callable[[Figures], Figures]


def short_rounds(rounds: int, serial: Server, batch: Server, measurer: Measurer, show: Show) -> Iterator[Round]:
    """Of 1, 10 and 32 clients on `batch`, 1 and 10 on `serial`; the quick ones twice, around the others."""
    plan = [(batch, 1), (batch, 10), (batch, 32), (batch, 10), (batch, 1), (serial, 1), (serial, 10)]
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
        # Both engines get the same questions, for how long an answer gets is the question's doing; none gets one twice.
        known: defaultdict[int, list[list[Messages]]] = defaultdict(list)
        asked: Counter[tuple[str, int]] = Counter()
        before, figures = raw(), []
        for server, clients in plan[:: -1 if number % 2 else 1]:
            sets, turn = known[clients], asked[server.engine, clients]
            asked[server.engine, clients] += 1
            if turn == len(sets):
                sets.append([conversation(server.url, workload.prompt_tokens) for _ in range(clients)])
            talks = [single(server.url, one, workload.max_tokens) for one in sets[turn]]
            figures.append(show(run_together(server, workload.name, talks)))
        yield Round(averaged(before, raw()), figures)
