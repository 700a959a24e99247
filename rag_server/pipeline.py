"""The line of stages that one question walks through: understand, retrieve, assemble and answer, record."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from rag_server.answer import answer
from rag_server.calibration import refuse_below
from rag_server.llm import LLM
from rag_server.quote import nearest_sentence
from rag_server.retrieve import retrieve
from rag_server.store import Entry, SessionKey, Store
from rag_server.turn import Answer, Evidence, Quote, Retrieved, Understood
from rag_server.understand import language_of, understand
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.settings import Settings


@dataclass(frozen=True)
class Turn:
    """One answered question, as the route shows it."""

    trace_id: str
    understood: Understood
    retrieved: Retrieved
    answer: Answer
    timings: dict[str, float]
    """Milliseconds of each stage."""

    @property
    def docs(self) -> tuple[str, ...]:
        """The passages that the answer rests on; none when it refuses."""
        return () if self.answer.mode == "refuse" else self.found

    @property
    def found(self) -> tuple[str, ...]:
        """The passages that were found, shown or not."""
        return tuple(e.content for e in self.retrieved.evidence)

    @property
    def answer_mode(self) -> str:
        """`generate` or `extract`; a refusal is no generation."""
        return "generate" if self.answer.mode == "generate" else "extract"

    def as_json(self) -> dict[str, Any]:
        """The response's body."""
        refused = self.answer.mode == "refuse"
        evidence = self.retrieved.evidence
        return {
            "response": self.answer.text,
            "docs": list(self.docs),
            "trace_id": self.trace_id,
            "new_query": self.understood.new_query,
            "answer_mode": self.answer_mode,
            "refused": refused,
            "nearest": [{"title": e.title, "source": e.source} for e in evidence] if refused else [],
            "notices": list(self.answer.notices),
            "evidence": [] if refused else [self._shown(e) for e in evidence],
            "timings": self.timings,
        }

    def _shown(self, evidence: Evidence) -> dict[str, Any]:
        """A passage with the sentences to look at: those that were quoted, else the one nearest to the question."""
        quoted: list[Quote | None] = [quote for quote in self.answer.quotes if quote.n == evidence.n]
        shown = quoted or [nearest_sentence(self.understood.new_query, evidence, self.retrieved.idf)]
        spans = [[quote.start, quote.end] for quote in shown if quote]
        names = ("n", "title", "source", "doc_no", "date", "path", "repealed", "text", "score")
        return {name: getattr(evidence, name) for name in names} | {"highlights": spans}


class Pipeline:
    """All stages with what they work on: the search service, the model service, sessions and trail."""

    def __init__(self, settings: Settings, search: ServiceClient, llm: LLM | None, store: Store) -> None:
        self._settings = settings
        self._search = search
        self._llm = llm
        self._store = store
        self._refuse_below = refuse_below(settings)

    def ask(self, session: SessionKey, query: str, trace_id: str, deadline: Deadline) -> Turn:
        """Answer one question of a session and record the turn. A turn that fails leaves no trace in the history.

        Raises:
            DependencyDown: es_search is down (or llm_server, when `YIJU_ANSWER=generate`).
            Overloaded, DeadlineExceeded, Conflict, InvalidRequest: see the stages.
        """
        with self._store.one_turn(session.id, deadline):
            turn = self._answered(session, query, trace_id, deadline)
            self._record(session, turn)
        return turn

    def clear(self, session: SessionKey, deadline: Deadline) -> None:
        """Forget the session's history."""
        with self._store.one_turn(session.id, deadline):
            self._store.clear(session)

    def _answered(self, session: SessionKey, query: str, trace_id: str, deadline: Deadline) -> Turn:
        settings, timings = self._settings, dict[str, float]()
        history = self._store.begin_turn(session)
        speaks = language_of(query) in settings.languages
        with _timed(timings, "understand"):
            rewriter = self._llm if speaks else None
            understood = understand(query, history, rewriter, deadline, settings.rewrite_budget_s)
        with _timed(timings, "retrieve"):
            retrieved = retrieve(understood.new_query, settings.top_k, self._search, deadline)
        with _timed(timings, "answer"):
            answered = answer(
                understood,
                retrieved,
                history,
                llm=self._llm,
                languages=settings.languages,
                deadline=deadline,
                must_generate=settings.answer == "generate",
                refuse_below=self._refuse_below,
            )
        return Turn(trace_id, understood, retrieved, answered, timings)

    def _record(self, session: SessionKey, turn: Turn) -> None:
        understood, text = turn.understood, turn.answer.text
        entry = Entry(
            turn.trace_id,
            session,
            understood.query,
            understood.new_query,
            turn.found,
            text,
            turn.retrieved.engine,
            turn.answer_mode,
            refused=turn.answer.mode == "refuse",
        )
        self._store.record(entry, understood.new_query)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    began = perf_counter()
    yield
    timings[stage] = round((perf_counter() - began) * 1000, 2)
