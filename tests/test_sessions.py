"""Sessions and trail in SQLite."""

import json
import threading
from pathlib import Path

import pytest

from rag_server.database import Database
from rag_server.sessions import HISTORY_LIMIT, Sessions, Turns
from rag_server.trail import Entry, Trail, as_json_array
from service_kit.deadline import Deadline
from service_kit.errors import Conflict, DeadlineExceeded, SettingsError
from tests.servers import wait_until


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path)


@pytest.fixture
def sessions(database: Database, clock: Clock) -> Sessions:
    return Sessions(database, 3600, clock)


def questions(sessions: Sessions, session_id: str) -> list[str]:
    return [message.content for message in sessions.begin_turn(session_id) if message.role == "user"]


def test_a_turn_is_two_messages_in_order(sessions: Sessions) -> None:
    sessions.append("a", "它呢？", "专项债务呢？", "答")
    user, assistant = sessions.begin_turn("a")
    assert (user.role, user.content, user.standalone) == ("user", "它呢？", "专项债务呢？")
    assert (assistant.role, assistant.content, assistant.standalone) == ("assistant", "答", None)


def test_sessions_do_not_mix(sessions: Sessions) -> None:
    sessions.append("a", "问a", "问a", "答a")
    sessions.append("b", "问b", "问b", "答b")
    assert questions(sessions, "a") == ["问a"]
    assert questions(sessions, "b") == ["问b"]
    assert questions(sessions, "c") == []


def test_thirty_messages_are_kept(sessions: Sessions) -> None:
    for n in range(40):
        sessions.append("a", f"问{n}", f"问{n}", f"答{n}")
    history = sessions.begin_turn("a")
    assert len(history) == HISTORY_LIMIT
    assert (history[0].content, history[-1].content) == ("问25", "答39")


def test_an_hour_without_a_question_ends_a_session(sessions: Sessions, clock: Clock) -> None:
    sessions.append("a", "问", "问", "答")
    clock.now += 3599
    assert questions(sessions, "a") == ["问"]
    clock.now += 3599
    assert questions(sessions, "a") == ["问"]
    clock.now += 3601
    assert questions(sessions, "a") == []
    sessions.append("a", "新", "新", "答")
    assert questions(sessions, "a") == ["新"]


def test_a_slow_answer_does_not_cost_the_history(sessions: Sessions, clock: Clock) -> None:
    sessions.append("a", "问1", "问1", "答")
    sessions.begin_turn("a")
    clock.now += 4000
    sessions.append("a", "问2", "问2", "答")
    assert questions(sessions, "a") == ["问1", "问2"]


def test_clearing_forgets_one_session_only(sessions: Sessions) -> None:
    sessions.append("a", "问", "问", "答")
    sessions.append("b", "问", "问", "答")
    sessions.clear("a")
    assert questions(sessions, "a") == []
    assert questions(sessions, "b") == ["问"]


def test_another_server_on_the_same_file_sees_the_sessions(sessions: Sessions, tmp_path: Path) -> None:
    sessions.append("a", "问", "问", "答")
    assert questions(Sessions(Database(tmp_path), 3600, Clock()), "a") == ["问"]


def test_ids_are_data_never_sql(sessions: Sessions) -> None:
    nasty = "'; DROP TABLE sessions; --"
    sessions.append(nasty, "问", "问", "答")
    assert questions(sessions, nasty) == ["问"]


def entry(n: int) -> Entry:
    return Entry(f"t{n}", "a", f"问{n}", f"全{n}", ("标题\n段落",), "答", "embedded", "extract")


def test_the_trail_exports_the_tutorials_array(database: Database) -> None:
    trail = Trail(database)
    for n in range(1200):
        trail.append(entry(n))
    exported = json.loads("".join(as_json_array(trail.entries())))
    assert len(exported) == 1200
    assert exported[7] == {
        "query": "问7",
        "new_query": "全7",
        "docs": ["标题\n段落"],
        "response": "答",
        "retrieval": "embedded",
    }


def test_an_empty_trail_is_an_empty_array(database: Database) -> None:
    assert json.loads("".join(as_json_array(Trail(database).entries()))) == []


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    database = Database(tmp_path)
    with database.connection() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match="newer"):
        Database(tmp_path)
    assert database.connection().execute("PRAGMA user_version").fetchone() == (99,)


class TestTurns:
    def test_a_second_turn_waits_and_a_third_is_refused(self) -> None:
        turns, order = Turns(), list[str]()

        def second() -> None:
            with turns.one("a", Deadline()):
                order.append("second")

        thread = threading.Thread(target=second)
        with turns.one("a", Deadline()):
            thread.start()
            wait_until(lambda: bool(turns._waited_for), "the second waits")
            with pytest.raises(Conflict) as caught, turns.one("a", Deadline()):
                raise AssertionError("two turns at once")
            assert caught.value.retry_after
            order.append("first")
        thread.join(5)
        assert order == ["first", "second"]

    def test_a_waiting_turn_keeps_its_deadline(self) -> None:
        turns = Turns()
        with turns.one("a", Deadline()):
            with pytest.raises(DeadlineExceeded), turns.one("a", Deadline.after(0.05)):
                raise AssertionError("two turns at once")
            with pytest.raises(DeadlineExceeded), turns.one("a", Deadline.after(0.05)):  # the place is free again
                raise AssertionError("two turns at once")

    def test_other_sessions_do_not_wait(self) -> None:
        turns = Turns()
        with turns.one("a", Deadline()), turns.one("b", Deadline.after(0.05)):
            pass

    def test_a_failed_turn_frees_the_session(self) -> None:
        turns = Turns()
        with pytest.raises(RuntimeError), turns.one("a", Deadline()):
            raise RuntimeError
        with turns.one("a", Deadline.after(0.05)):
            pass
