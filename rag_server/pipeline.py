"""The line of stages that one question walks through: understand → retrieve → assemble → answer → verify → record."""

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial

from rag_server.answer import (
    MODEL_FAULTS,
    NOT_SPOKEN,
    Generating,
    generate,
    quoted,
    stopped_before,
    told,
    why_quoting,
)
from rag_server.assemble import Assembled, assemble
from rag_server.calibration import refuse_below
from rag_server.confidence import lacks_basis
from rag_server.events import Delta, Done, Event, EvidenceFound, Status
from rag_server.extract import extract, refuse
from rag_server.llm import LLM
from rag_server.marking import Rules, without_our_marks
from rag_server.prompt.fence import new_boundary
from rag_server.record import entry_of, record
from rag_server.retrieve import retrieve
from rag_server.running import RunningTurns
from rag_server.shown import show
from rag_server.store import SessionKey, Store
from rag_server.timings import Timings
from rag_server.turn import NOTHING_RETRIEVED, Answer, Asked, Message, Turn, Understood
from rag_server.understand import understand
from rag_server.verify import split_sentences, verify_sentence
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import Stopped
from service_kit.settings import Settings
from service_kit.stopping import Stop, current_stop
from service_kit.words import Words, language_of

Walk = Generator[Event, None, Turn]


class Pipeline:
    """All stages with what they work on: the search service, the model service, sessions and trail."""

    def __init__(self, settings: Settings, search: ServiceClient, llm: LLM | None, store: Store) -> None:
        self._settings = settings
        self._search = search
        self._llm = llm
        self._store = store
        self._refuse_below = refuse_below(settings)
        self.running = RunningTurns(store)

    def ask(self, asked: Asked, deadline: Deadline, stop: Stop) -> Generator[Event]:
        """Answer one question of a session and record the turn; the last event is `Done`.

        A turn that fails leaves no trace in the history; one that is stopped is recorded as far as it came.

        Raises:
            DependencyDown: es_search is down (or llm_server, when `YIJU_ANSWER=generate`).
            Overloaded, DeadlineExceeded, Conflict, InvalidRequest: see the stages.
        """
        with self.running.one(asked.session, stop), self._store.one_turn(asked.session.id, deadline):
            history = self._store.begin_turn(asked.session)
            turn = yield from self._walk(asked, history, deadline, stop)
            record(turn, self._store)
        yield Done(turn)

    def reply(self, asked: Asked, history: Sequence[Message], deadline: Deadline, stop: Stop) -> Generator[Event]:
        """As `ask`, for a caller who brings the history along: no session is read or written."""
        turn = yield from self._walk(asked, history, deadline, stop)
        self._store.log(entry_of(turn))
        yield Done(turn)

    def clear(self, session: SessionKey, deadline: Deadline) -> None:
        """Forget the session's history."""
        with self._store.one_turn(session.id, deadline):
            self._store.clear(session)

    def _walk(self, asked: Asked, history: Sequence[Message], deadline: Deadline, stop: Stop) -> Walk:
        current_stop.set(stop)
        timings, lang = Timings(), language_of(asked.query)
        bare = Understood(asked.query, asked.query, lang)
        turn = Turn(asked, bare, NOTHING_RETRIEVED, (), stopped_before(lang), {})
        past = [without_our_marks(message) for message in history]
        try:
            yield Status("understand")
            with timings.measured("understand"):
                turn = replace(turn, understood=self._understood(asked.query, past, deadline))
            yield Status("retrieve", turn.understood.new_query)
            with timings.measured("retrieve"):
                found = retrieve(turn.understood, self._settings.top_k, self._search, deadline)
                turn = replace(turn, retrieved=found)
            yield Status("answer", turn.understood.new_query)
            turn = yield from self._answered(turn, past, deadline, timings)
        except Stopped:
            pass  # the turn is as far as it came
        return replace(turn, timings=timings.result())

    def _understood(self, query: str, history: Sequence[Message], deadline: Deadline) -> Understood:
        speaks = language_of(query) in self._settings.languages
        return understand(query, history, self._llm if speaks else None, deadline, self._settings.rewrite_budget_s)

    def _answered(self, turn: Turn, history: Sequence[Message], deadline: Deadline, timings: Timings) -> Walk:
        settings, understood, retrieved = self._settings, turn.understood, turn.retrieved
        must_generate = settings.answer == "generate"
        with timings.measured("retrieve"):
            has_no_basis = lacks_basis(understood.new_query, retrieved, self._refuse_below)
        if has_no_basis:
            return (yield from self._whole(turn, refuse(understood), timings))
        if self._llm is None:
            return (yield from self._quoting(turn, None, timings))
        if understood.lang not in settings.languages and not must_generate:
            return (yield from self._quoting(turn, NOT_SPOKEN, timings))
        with timings.measured("assemble"):
            assembled = self._assembled(self._llm, turn, history, deadline)
            turn = replace(turn, shown=show(understood.new_query, retrieved))
        yield EvidenceFound(turn.shown)
        check = partial(verify_sentence, evidence=retrieved.evidence, idf=retrieved.idf, lang=understood.lang)
        rules = Rules(split_sentences, check, understood.lang)
        try:
            with timings.measured("answer"):
                asked = Generating(self._llm, assembled.prompt, assembled.sampling, rules, deadline)
                answer = yield from generate(asked, timings)
        except MODEL_FAULTS as error:
            deadline.remaining()
            if must_generate:
                raise
            why = why_quoting(error, expected=settings.names_a_model)
            return (yield from self._quoting(turn, why, timings))
        return replace(turn, answer=replace(answer, notices=(*assembled.notices, *answer.notices)))

    def _assembled(self, llm: LLM, turn: Turn, history: Sequence[Message], deadline: Deadline) -> Assembled:
        return assemble(
            turn.understood,
            turn.retrieved,
            history,
            model=llm.model(deadline),
            count=lambda texts: llm.count(texts, deadline),
            boundary=new_boundary(),
            sampling=turn.asked.sampling,
            max_tokens=self._settings.max_tokens,
            system=turn.asked.system,
        )

    def _quoting(self, turn: Turn, why: Words | None, timings: Timings) -> Walk:
        with timings.measured("answer"):
            answer = quoted(extract(turn.understood, turn.retrieved), why, turn.understood.lang)
        return (yield from self._whole(turn, answer, timings))

    def _whole(self, turn: Turn, answer: Answer, timings: Timings) -> Walk:
        """An answer that comes in one piece."""
        shown = () if answer.mode == "refuse" else show(turn.understood.new_query, turn.retrieved, answer.quotes)
        turn = replace(turn, shown=shown, answer=answer)
        timings.first_token()
        yield EvidenceFound(shown)
        yield from told(answer)
        return turn


def told_at_once(asked: Asked, text: str) -> Generator[Event]:
    """A turn that no stage has to make: nothing is searched, checked or recorded."""
    understood = Understood(asked.query, asked.query, language_of(asked.query))
    turn = Turn(asked, understood, NOTHING_RETRIEVED, (), Answer(text, "extract"), Timings().result())
    yield from (Delta(text), Done(turn))
