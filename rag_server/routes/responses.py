"""What the routes answer: the one description of it, from which `/openapi.json` is built."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from rag_server.turn import CheckedSentence, Shown, Turn


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Nearest(_Model):
    """A document that comes nearest to a question for which the material holds no basis."""

    title: str
    source: str | None


class EvidenceShown(_Model):
    """One passage that the answer rests on."""

    n: Annotated[int, Field(ge=1, description="The number by which the answer cites it")]
    title: str
    source: Annotated[str | None, Field(description="File name")]
    doc_no: Annotated[str | None, Field(description="文号")]
    date: Annotated[str | None, Field(description="When it came into effect, else when it was issued")]
    path: Annotated[str | None, Field(description="Place in the document, such as 第五条")]
    repealed: Annotated[str | None, Field(description="When it was repealed; null while it is in force")]
    text: str
    score: Annotated[float, Field(ge=0, le=1)]
    highlights: Annotated[
        list[tuple[int, int]], Field(description="Spans [start, end) of `text` to look at, in Unicode code points")
    ]


class Sentence(_Model):
    """One sentence of the answer, as it was written."""

    text: str
    cites: Annotated[list[int], Field(description="Numbers of the passages that it cites")]
    verified: Annotated[bool, Field(description="A passage that it cites supports it")]
    added: Annotated[bool, Field(description="It cited nothing; the mark was added, because one passage supports it")]
    reason: Annotated[str | None, Field(description="Why it is not verified")]


class TimingsShown(_Model):
    """Milliseconds of each stage; 0 for one that was not reached."""

    understand: float
    retrieve: float
    assemble: float
    first_token: Annotated[float, Field(description="From the question's arrival to the first text of the answer")]
    answer: Annotated[float, Field(description="Without the time of `verify`")]
    verify: float


class TurnAbout(_Model):
    """All that is told about an answer, beside its text."""

    trace_id: str
    new_query: Annotated[str, Field(description="The question as it was searched")]
    answer_mode: Literal["generate", "extract"]
    retrieval_mode: Annotated[str, Field(description="`lexical`, unless es_search says otherwise")]
    refused: Annotated[bool, Field(description="The material holds no basis for an answer")]
    stopped: Annotated[bool, Field(description="Stopped by the user: the answer is as far as it came")]
    nearest: Annotated[list[Nearest], Field(description="The nearest documents, when refused")]
    notices: Annotated[list[str], Field(description="What the reader should know about this answer")]
    verified: Annotated[bool, Field(description="No sentence is unverified")]
    evidence: list[EvidenceShown]
    sentences: list[Sentence]
    timings: TimingsShown


class _Said(_Model):
    response: Annotated[
        str, Field(description="The answer; behind a sentence that is not verified: （未核实：reason）")
    ]
    docs: Annotated[list[str], Field(description="Title, newline, text of each passage; empty when refused")]


class TurnBody(TurnAbout, _Said):  # in JSON what was said comes first
    """The answer to one question."""


class StatusTold(_Model):
    """SSE `status`: a stage begins. `restart` withdraws what `delta` has shown so far."""

    stage: Literal["understand", "retrieve", "answer", "restart"]
    new_query: str | None


class EvidenceTold(_Model):
    """SSE `evidence`, before the first token; a later one replaces it."""

    evidence: list[EvidenceShown]


class DeltaTold(_Model):
    """SSE `delta`: a further piece of the answer."""

    text: str


class TutorialEntry(_Model):
    """One answered question of the trail, with the tutorial's keys."""

    query: str
    new_query: str
    docs: list[str]
    response: str
    retrieval: Annotated[str, Field(description="The search engine")]


class FeedbackShown(_Model):
    """What a user said of one answer."""

    score: float
    comment: str | None


class TrailEntry(TutorialEntry):
    """One answered question of the trail, with all that is kept of it."""

    time: Annotated[float, Field(description="Unix seconds")]
    trace_id: str
    session_id: str
    answer_mode: str
    refused: bool
    stopped: Annotated[bool, Field(description="Stopped by the user: `response` is as far as it came")]
    feedback: FeedbackShown | None


class History(RootModel[list[TutorialEntry]]):
    """The trail as the tutorial's `history.json`, oldest first."""


class TrailBody(RootModel[list[TrailEntry]]):
    """The trail, oldest first."""


class SessionShown(_Model):
    """One session. Times are Unix seconds."""

    id: str
    title: str | None
    created: float
    last_access: float
    messages_count: int


class SessionList(_Model):
    """The caller's sessions, last used first."""

    sessions: list[SessionShown]


class MessageShown(_Model):
    """One message of a session."""

    role: Literal["user", "assistant"]
    content: str


class SessionRead(SessionShown):
    """A session with its messages, oldest first."""

    messages: list[MessageShown]


class FeedbackAnswer(_Model):
    """The feedback is kept."""

    status: Literal["recorded"]
    trace_id: str


class StopAnswer(_Model):
    """Whether there was an answer to stop."""

    stopped: bool


def shown(one: Shown) -> EvidenceShown:
    """A passage as the routes show it."""
    e = one.evidence
    return EvidenceShown(
        n=e.n,
        title=e.title,
        source=e.source,
        doc_no=e.doc_no,
        date=e.date,
        path=e.path,
        repealed=e.repealed,
        text=e.text,
        score=e.score,
        highlights=list(one.highlights),
    )


def sentence(one: CheckedSentence) -> Sentence:
    """A checked sentence as the routes show it."""
    return Sentence(text=one.text, cites=list(one.cites), verified=one.verified, added=one.added, reason=one.reason)


def about(turn: Turn) -> TurnAbout:
    """What the OpenAI route adds to a completion."""
    answer = turn.answer
    evidence = turn.retrieved.evidence if turn.refused else ()
    return TurnAbout(
        trace_id=turn.asked.trace_id,
        new_query=turn.understood.new_query,
        answer_mode=turn.answer_mode,
        retrieval_mode=turn.retrieved.mode,
        refused=turn.refused,
        stopped=answer.stopped,
        nearest=[Nearest(title=e.title, source=e.source) for e in evidence],
        notices=list(answer.notices),
        verified=all(one.verified for one in answer.sentences),
        evidence=[shown(one) for one in turn.shown],
        sentences=[sentence(one) for one in answer.sentences],
        timings=TimingsShown(**turn.timings),
    )


def turn_body(turn: Turn) -> TurnBody:
    """What `POST /get_bot_response` answers."""
    return TurnBody(**dict(about(turn)), response=turn.answer.text, docs=list(turn.docs))
