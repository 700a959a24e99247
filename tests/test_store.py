"""Sessions and trail: one behaviour, in SQLite and on a real Redis."""

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from rag_server.store import HISTORY_LIMIT, Entry, Feedback, Period, SessionKey, Store, as_json_array, as_tutorial
from rag_server.store import redis_turns as redis_turns_module
from rag_server.store.database import FILE_NAME, Database
from rag_server.store.redis_store import RedisStore
from rag_server.store.sqlite_store import SqliteStore
from service_kit.deadline import Deadline
from service_kit.errors import Conflict, DeadlineExceeded, DependencyDown, NotFound, SettingsError
from tests.redis_server import redis_process, redis_url
from tests.servers import free_port, wait_until


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Stores:
    """Opens stores, as several servers would, on the same file or the same Redis."""

    def __init__(self, kind: str, folder: Path, url: str) -> None:
        self.kind, self.folder, self.url = kind, folder, url
        self.clock = Clock()
        self.opened: list[Store] = []

    def open(self) -> Store:
        kind = RedisStore if self.kind == "redis" else SqliteStore
        self.opened.append(kind(self.url or self.folder, 3600, clock=self.clock))  # type: ignore[arg-type]
        return self.opened[-1]

    def one_waits(self, store: Store, session_id: str) -> bool:
        if isinstance(store, SqliteStore):
            return session_id in store._turns._waited_for
        with Redis.from_url(self.url) as client:
            return bool(client.exists(f"yiju:waiting:{session_id}"))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with redis_url(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(params=["sqlite", "redis"])
def stores(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stores]:
    url = ""
    if request.param == "redis":
        url = request.getfixturevalue("redis")
        with Redis.from_url(url) as client:
            client.flushdb()
    stores = Stores(request.param, tmp_path, url)
    yield stores
    for store in stores.opened:
        store.close()


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.open()


A, B = SessionKey("a"), SessionKey("b")


def entry(session: SessionKey = A, query: str = "问", response: str = "答", trace_id: str = "t", **more: Any) -> Entry:
    return Entry(trace_id, session, query, f"全{query}", ("标题\n段落",), response, "embedded", "extract", **more)


def ask(store: Store, session: SessionKey, query: str = "问", **more: Any) -> None:
    store.record(entry(session, query, **more), f"全{query}")


def questions(store: Store, session: SessionKey) -> list[str]:
    return [message.content for message in store.begin_turn(session) if message.role == "user"]


class TestHistory:
    def test_a_turn_is_two_messages_in_order(self, store: Store) -> None:
        ask(store, A, "它呢？")
        user, assistant = store.begin_turn(A)
        assert (user.role, user.content, user.standalone) == ("user", "它呢？", "全它呢？")
        assert (assistant.role, assistant.content, assistant.standalone) == ("assistant", "答", None)

    def test_sessions_do_not_mix(self, store: Store) -> None:
        ask(store, A, "问a")
        ask(store, B, "问b")
        assert (questions(store, A), questions(store, B), questions(store, SessionKey("c"))) == (["问a"], ["问b"], [])

    def test_thirty_messages_are_kept(self, store: Store) -> None:
        for n in range(40):
            store.record(entry(A, f"问{n}", f"答{n}"), None)
        history = store.begin_turn(A)
        assert len(history) == HISTORY_LIMIT
        assert (history[0].content, history[-1].content) == ("问25", "答39")

    def test_an_hour_without_a_question_ends_a_session(self, store: Store, stores: Stores) -> None:
        ask(store, A)
        for seconds, left in ((3599, ["问"]), (3599, ["问"]), (3601, [])):
            stores.clock.now += seconds
            assert questions(store, A) == left
        ask(store, A, "新")
        assert questions(store, A) == ["新"]

    def test_a_slow_answer_does_not_cost_the_history(self, store: Store, stores: Stores) -> None:
        ask(store, A, "问1")
        store.begin_turn(A)
        stores.clock.now += 3000
        ask(store, A, "问2")
        assert questions(store, A) == ["问1", "问2"]

    def test_clearing_forgets_one_session_only(self, store: Store) -> None:
        ask(store, A)
        ask(store, B)
        store.clear(A)
        assert (questions(store, A), questions(store, B)) == ([], ["问"])

    def test_another_server_sees_the_sessions(self, store: Store, stores: Stores) -> None:
        ask(store, A)
        assert questions(stores.open(), A) == ["问"]

    @pytest.mark.parametrize("nasty", ["'; DROP TABLE sessions; --", "a b\nc*[?]{}", "会话", "x" * 128, "of:"])
    def test_ids_are_data(self, store: Store, nasty: str) -> None:
        ask(store, SessionKey(nasty))
        assert questions(store, SessionKey(nasty)) == ["问"]
        assert questions(store, SessionKey(nasty + "y")) == []


class TestOwners:
    mine, theirs = SessionKey("s", "key1"), SessionKey("s", "key2")

    def test_another_keys_session_is_not_there(self, store: Store) -> None:
        ask(store, self.mine)
        for forbidden in (store.begin_turn, store.clear, store.read, store.delete):
            with pytest.raises(NotFound):
                forbidden(self.theirs)
        with pytest.raises(NotFound):
            store.rename(self.theirs, "名")
        assert questions(store, self.mine) == ["问"]

    def test_a_cleared_session_stays_its_owners(self, store: Store) -> None:
        ask(store, self.mine)
        store.clear(self.mine)
        with pytest.raises(NotFound):
            store.begin_turn(self.theirs)

    def test_a_forgotten_id_is_free_again(self, store: Store, stores: Stores) -> None:
        ask(store, self.mine)
        stores.clock.now += 3601
        assert questions(store, self.theirs) == []

    def test_only_ones_own_sessions_are_listed_the_last_used_first(self, store: Store, stores: Stores) -> None:
        for name in ("一", "二", "三"):
            stores.clock.now += 1
            ask(store, SessionKey(name, "key1"), f"{name}问")
        ask(store, SessionKey("四", "key2"))
        stores.clock.now += 1000
        store.begin_turn(SessionKey("一", "key1"))
        assert [one.id for one in store.sessions("key1", 10)] == ["一", "三", "二"]
        assert [one.id for one in store.sessions("key1", 1)] == ["一"]
        assert [(one.id, one.title, one.messages) for one in store.sessions("key2", 10)] == [("四", "问", 2)]
        stores.clock.now += 3601
        assert store.sessions("key1", 10) == []


class TestSessions:
    def test_a_new_id_can_not_be_guessed(self, store: Store) -> None:
        ids = {store.create("key1", None).id for _ in range(50)}
        assert len(ids) == 50
        assert all(len(one) >= 32 for one in ids)

    def test_a_session_is_named_by_its_first_question_until_renamed(self, store: Store) -> None:
        session = SessionKey(store.create("key1", None).id, "key1")
        assert store.read(session)[0].title is None
        ask(store, session, "第一问" * 30)
        assert store.read(session)[0].title == ("第一问" * 30)[:40]
        assert store.rename(session, "新名").title == "新名"
        ask(store, session, "第二问")
        found, messages = store.read(session)
        assert (found.title, found.messages, len(messages)) == ("新名", 4, 4)

    def test_a_title_given_stays(self, store: Store) -> None:
        session = SessionKey(store.create("", "预算").id)
        ask(store, session)
        assert store.read(session)[0].title == "预算"

    def test_deleted_is_gone(self, store: Store) -> None:
        ask(store, A)
        store.delete(A)
        for gone in (store.read, store.delete):
            with pytest.raises(NotFound):
                gone(A)
        assert questions(store, A) == []
        assert len(list(store.entries())) == 1


class TestTrail:
    def test_the_tutorials_array(self, store: Store) -> None:
        for n in range(1200):
            store.record(entry(A, f"问{n}"), None)
        exported = json.loads("".join(as_json_array(map(as_tutorial, store.entries()))))
        assert len(exported) == 1200
        assert exported[7] == {
            "query": "问7",
            "new_query": "全问7",
            "docs": ["标题\n段落"],
            "response": "答",
            "retrieval": "embedded",
        }

    def test_an_empty_trail_is_an_empty_array(self, store: Store) -> None:
        assert json.loads("".join(as_json_array(store.entries()))) == []

    def test_by_time_and_session(self, store: Store, stores: Stores) -> None:
        begin = time.time()  # Redis numbers entries by its own clock
        for n in range(6):
            stores.clock.now = begin + n
            ask(store, A if n % 2 else B, f"问{n}")

        def found(period: Period, session_id: str | None = None) -> list[str]:
            return [one["query"] for one in store.entries(period, session_id)]

        assert found(Period(until=begin + 2)) == ["问0", "问1"]
        assert found(Period(until=begin + 4), "a") == ["问1", "问3"]
        assert found(Period(), "b") == ["问0", "问2", "问4"]
        assert found(Period(begin + 2, begin + 4)) == ["问2", "问3"]
        assert found(Period(begin + 4), "a") == ["问5"]

    def test_all_is_kept_of_a_turn(self, store: Store, stores: Stores) -> None:
        ask(store, SessionKey("s", "key1"), trace_id="x", refused=True, stopped=True)
        (one,) = store.entries()
        assert one == {
            "time": stores.clock.now,
            "trace_id": "x",
            "session_id": "s",
            "query": "问",
            "new_query": "全问",
            "docs": ["标题\n段落"],
            "response": "答",
            "retrieval": "embedded",
            "answer_mode": "extract",
            "refused": True,
            "stopped": True,
            "feedback": None,
        }

    def test_feedback_belongs_to_one_turn_of_its_owner(self, store: Store) -> None:
        ask(store, SessionKey("s", "key1"), trace_id="x")
        ask(store, SessionKey("r", "key2"), trace_id="x")
        ask(store, SessionKey("s", "key1"), trace_id="y")
        store.add_feedback("x", "key1", Feedback(1, "先"))
        store.add_feedback("x", "key1", Feedback(-1, "后"))
        assert [one["feedback"] for one in store.entries()] == [{"score": -1, "comment": "后"}, None, None]
        for trace_id, owner in (("z", "key1"), ("y", "key2"), ("x", "")):
            with pytest.raises(NotFound):
                store.add_feedback(trace_id, owner, Feedback(1))

    def test_one_server_exports_all(self, store: Store, stores: Stores) -> None:
        ask(store, A, "甲")
        ask(stores.open(), B, "乙")
        assert [one["query"] for one in store.entries()] == ["甲", "乙"]


class TestTurns:
    def test_a_second_turn_waits_and_a_third_is_refused(self, store: Store, stores: Stores) -> None:
        other, order = stores.open() if stores.kind == "redis" else store, list[str]()

        def second() -> None:
            with other.one_turn("a", Deadline()):
                order.append("second")

        thread = threading.Thread(target=second)
        with store.one_turn("a", Deadline()):
            thread.start()
            wait_until(lambda: stores.one_waits(store, "a"), "the second waits")
            with pytest.raises(Conflict) as caught, store.one_turn("a", Deadline()):
                raise AssertionError("two turns at once")
            assert caught.value.retry_after
            order.append("first")
        thread.join(5)
        assert order == ["first", "second"]

    def test_a_waiting_turn_keeps_its_deadline(self, store: Store) -> None:
        with store.one_turn("a", Deadline()):
            for _ in range(2):  # the place is free again
                with pytest.raises(DeadlineExceeded), store.one_turn("a", Deadline.after(0.05)):
                    raise AssertionError("two turns at once")

    def test_other_sessions_do_not_wait(self, store: Store) -> None:
        with store.one_turn("a", Deadline()), store.one_turn("b", Deadline.after(0.5)):
            pass

    def test_a_failed_turn_frees_the_session(self, store: Store) -> None:
        with pytest.raises(RuntimeError), store.one_turn("a", Deadline()):
            raise RuntimeError
        with store.one_turn("a", Deadline.after(0.5)):
            pass


class TestSqlite:
    def test_entries_over_their_time_leave_the_trail(self, tmp_path: Path) -> None:
        clock = Clock()
        store = SqliteStore(tmp_path, 3600, 100, clock)
        ask(store, A, "旧")
        store.add_feedback("t", "", Feedback(1))
        clock.now += 101
        ask(store, A, "新")
        assert [one["query"] for one in store.entries()] == ["新"]
        assert store.database.connection().execute("SELECT count(*) FROM feedback").fetchone() == (0,)

    def test_a_turn_begins_without_waiting_for_a_writer(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path, 3600, clock=Clock())
        ask(store, A)
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            assert questions(store, A) == ["问"]

    def test_a_newer_database_is_refused_and_left_as_it_is(self, tmp_path: Path) -> None:
        database = Database(tmp_path)
        with database.connection() as db:
            db.execute("PRAGMA user_version = 99")
        with pytest.raises(SettingsError, match="newer"):
            Database(tmp_path)
        assert database.connection().execute("PRAGMA user_version").fetchone() == (99,)

    def test_a_database_of_the_first_version_is_brought_up(self, tmp_path: Path) -> None:
        from rag_server.store.database import MIGRATIONS

        with sqlite3.connect(tmp_path / FILE_NAME) as db:
            MIGRATIONS[0](db)
            db.execute("PRAGMA user_version = 1")
            db.execute("INSERT INTO sessions VALUES ('7', ?), ('0123456789abcdef/7', ?)", (Clock.now, Clock.now))
            db.execute("INSERT INTO messages (session_id, role, content) VALUES ('7', 'user', '问')")
            db.execute("INSERT INTO trail VALUES (1, 't', '7', 5, '问', '全', '[]', '答', 'embedded', 'extract')")
        store = SqliteStore(tmp_path, 3600, clock=Clock())
        assert questions(store, SessionKey("7")) == ["问"]
        assert questions(store, SessionKey("0123456789abcdef/7")) == []
        assert [one["query"] for one in store.entries()] == ["问"]


@contextmanager
def on_redis(url: str, retention_s: float | None = None) -> Iterator[RedisStore]:
    with closing(RedisStore(url, 3600, retention_s)) as store:
        yield store


class TestRedis:
    def test_redis_itself_forgets(self, redis: str) -> None:
        with on_redis(redis, retention_s=100) as store:
            ask(store, SessionKey("s", "key1"), trace_id="forgetful")
        with Redis.from_url(redis) as client:
            for name in ("session:s", "messages:s", "of:key1"):
                assert 3500 < client.ttl(f"yiju:{name}") <= 3600
            assert 0 < client.ttl("yiju:trace:forgetful") <= 100

    def test_a_turn_longer_than_its_lock_keeps_it(self, redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(redis_turns_module, "TIME_TO_LIVE_S", 0.6)
        late = pytest.raises(DeadlineExceeded)
        with (
            on_redis(redis) as one,
            on_redis(redis) as two,
            one.one_turn("long", Deadline()),
            late,
            two.one_turn("long", Deadline.after(2.0)),
        ):
            raise AssertionError("two turns at once")

    def test_a_dead_servers_turn_ends(self, redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with Redis.from_url(redis) as client:
            client.set("yiju:turn:orphan", "a token", px=300)
        with on_redis(redis) as store, store.one_turn("orphan", Deadline.after(10)):
            pass

    def test_redis_down_is_named_and_comes_back_with_everything(self, tmp_path: Path) -> None:
        port = free_port()
        with on_redis(f"redis://127.0.0.1:{port}") as store:
            with pytest.raises(DependencyDown, match="Redis"):
                store.begin_turn(A)
            with redis_process(tmp_path, port, keep=True) as process:
                ask(store, A, "前")
                process.send_signal(signal.SIGKILL)
                process.wait(10)
                with pytest.raises(DependencyDown) as caught:
                    ask(store, A, "中")
                assert caught.value.details == {"dependency": "redis"}
            with redis_process(tmp_path, port, keep=True):
                assert questions(store, A) == ["前"]
                assert [one["query"] for one in store.entries()] == ["前"]
