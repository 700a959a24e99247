"""Stage 6: the bare question and the answer go into the session, everything into the trail."""

from rag_server.database import Database
from rag_server.sessions import Sessions
from rag_server.trail import Entry, Trail
from rag_server.turn import Turn


def entry_of(turn: Turn) -> Entry:
    """The trail's line for one turn."""
    return Entry(
        turn.asked.trace_id,
        turn.asked.session,
        turn.understood.query,
        turn.understood.new_query,
        turn.found,
        turn.answer.text,
        turn.retrieved.engine,
        turn.answer_mode,
        turn.answer.stopped,
    )


def record(turn: Turn, database: Database, sessions: Sessions, trail: Trail) -> None:
    """Write both or neither. An answer that was stopped is kept as far as it came, with a line that says so; one
    that was stopped before its first character stands in the trail only.

    Raises:
        DependencyDown: the database can not be written.
    """
    text = "\n".join((turn.answer.text, *turn.answer.notices)) if turn.answer.stopped else turn.answer.text
    with database.transaction():
        if turn.answer.text:
            sessions.append(turn.asked.session, turn.understood.query, turn.understood.new_query, text)
        trail.append(entry_of(turn))
