"""Stage 6: the bare question and the answer go into the session, everything into the trail."""

from dataclasses import replace

from rag_server.store import Entry, Store
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
        refused=turn.refused,
        stopped=turn.answer.stopped,
    )


def record(turn: Turn, store: Store) -> None:
    """Write session and trail. A stopped answer is kept as far as it came, with a line that says so; one that was
    stopped before its first character stands in the trail only.

    Raises:
        DependencyDown: the store can not be written; then neither is.
    """
    entry = entry_of(turn)
    if turn.answer.stopped and not turn.answer.text:
        store.log(entry)
        return
    if turn.answer.stopped:
        entry = replace(entry, response="\n".join((turn.answer.text, *turn.answer.notices)))
    # A question that was refused sets no topic for those that follow.
    store.record(entry, None if turn.refused else turn.understood.new_query)
