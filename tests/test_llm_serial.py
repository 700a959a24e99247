"""The serial engine with tiny random models: right tokens, one at a time, and nobody waits for nothing."""

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_server.app import create_app
from llm_server.engines.engine import Load, Request
from llm_server.engines.pace import Pace
from llm_server.engines.serial import SerialEngine
from llm_server.model.loaded import LoadedModel
from service_kit.deadline import Deadline
from service_kit.errors import (
    ClientGone,
    ContextTooLong,
    DeadlineExceeded,
    GenerationFailed,
    ModelUnavailable,
    Overloaded,
)
from service_kit.generation import Generation, Message, Sampling
from service_kit.settings import Settings, load_settings
from tests.llm_fixtures import make_tiny_model
from tests.servers import wait_until

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


def loaded_engine(model: Path, **settings: Any) -> SerialEngine:
    engine = SerialEngine(load_settings(model=str(model), device="cpu", max_tokens=100_000, **settings))
    wait_until(lambda: is_loaded(engine), "the tiny model is loaded", 60)
    return engine


def is_loaded(engine: SerialEngine) -> bool:
    try:
        return bool(engine.card())
    except ModelUnavailable as error:
        assert "being loaded" in str(error), error
        return False


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Iterator[SerialEngine]:
    engine = loaded_engine(tiny)
    yield engine
    engine.close()


def ask(text: str = "专项债务", **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**sampling), Deadline.after(60))


def answer(engine: SerialEngine, request: Request) -> str:
    return "".join(engine.begin(request))


def reference(tiny: Path, prompt: str, **options: Any) -> str:
    """What transformers' own generate() gives."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny)
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0, **options)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


def test_greedy_is_what_generate_gives(engine: SerialEngine, tiny: Path) -> None:
    expected = reference(tiny, "<user>专项债务\n<assistant>", max_new_tokens=60)
    generation = engine.begin(ask(temperature=0, max_tokens=60))
    text = "".join(generation)
    assert text == expected.rstrip("\ufffd")
    assert (generation.finish_reason, generation.usage.completion_tokens) == ("length", 60)
    assert generation.usage.prompt_tokens == len("<user>专项债务\n<assistant>".encode())


def test_repetition_penalty_is_what_generate_gives(engine: SerialEngine, tiny: Path) -> None:
    expected = reference(tiny, "<user>专项债务\n<assistant>", max_new_tokens=60, repetition_penalty=1.3)
    assert answer(engine, ask(temperature=0, repetition_penalty=1.3, max_tokens=60)) == expected.rstrip("\ufffd")


def test_the_model_s_own_default_is_greedy(engine: SerialEngine) -> None:
    assert answer(engine, ask(max_tokens=20)) == answer(engine, ask(temperature=0, max_tokens=20))


def test_a_plain_text_is_gone_on_with(engine: SerialEngine, tiny: Path) -> None:
    request = Request("专项", Sampling(temperature=0, max_tokens=20))
    assert answer(engine, request) == reference(tiny, "专项", max_new_tokens=20).rstrip("\ufffd")


def test_a_seed_reproduces_and_moves_nobody_else_s_random_numbers(engine: SerialEngine) -> None:
    torch.manual_seed(1)
    expected_next = torch.rand(3)
    torch.manual_seed(1)
    hot: dict[str, Any] = {"temperature": 1.5, "top_p": 0.95, "top_k": 100, "max_tokens": 40}
    first, again = (answer(engine, ask(seed=5, **hot)) for _ in range(2))
    other, unseeded = answer(engine, ask(seed=6, **hot)), answer(engine, ask(**hot))
    assert first == again
    assert len({first, other, unseeded}) == 3
    assert torch.equal(torch.rand(3), expected_next)


def test_top_k_1_is_greedy(engine: SerialEngine) -> None:
    assert answer(engine, ask(temperature=2, top_k=1, max_tokens=30)) == answer(engine, ask(max_tokens=30))


def test_draws_follow_the_distribution() -> None:
    from llm_server.model.generating import ChooseToken
    from llm_server.model.sampling import Choice

    choose = ChooseToken(Choice(0.5, 1.0, 0, 1.0, 3, (), 1), torch.device("cpu"))
    scores = torch.log(torch.tensor([[1.0, 2.0, 0.0]]))  # at temperature 0.5 the odds are 1 : 4
    drawn = [int(choose(torch.zeros(1, 1, dtype=torch.long), scores).argmax()) for _ in range(1000)]
    assert 0.75 < drawn.count(1) / 1000 < 0.85
    assert drawn.count(2) == 0


def test_a_stop_string_ends_the_answer(engine: SerialEngine) -> None:
    whole = answer(engine, ask(temperature=1.0, seed=1, max_tokens=60))
    stop = whole[10:12]
    generation = engine.begin(ask(temperature=1.0, seed=1, max_tokens=60, stop=(stop,)))
    assert "".join(generation) == whole[: whole.index(stop)]
    assert generation.finish_reason == "stop"
    assert generation.usage.completion_tokens < 60


def test_the_end_token_ends_the_answer(tiny: Path) -> None:
    engine = loaded_engine(tiny)
    first = engine._loaded
    assert first is not None
    pushed = first.model.lm_head
    with torch.no_grad():
        pushed.weight[first.stop_ids[0]] = pushed.weight[:256].sum(0) * 0 + 10 * first.model.model.norm.weight
    generation = engine.begin(ask(temperature=1.0, seed=1, max_tokens=400))
    text = "".join(generation)
    assert generation.finish_reason == "stop"
    assert "<end>" not in text
    engine.close()


def test_older_rounds_are_left_out_and_the_rest_answers(engine: SerialEngine) -> None:
    talk = tuple(Message("user", f"{i:03}" + "x" * 60) for i in range(50))
    generation = engine.begin(Request(talk, Sampling(max_tokens=10)))
    assert "".join(generation) or generation.finish_reason
    assert 300 < generation.usage.prompt_tokens <= 512 - 10


def test_the_answer_ends_where_the_window_ends(engine: SerialEngine) -> None:
    generation = engine.begin(ask("x" * 480))
    list(generation)
    assert generation.finish_reason == "length"
    assert generation.usage.prompt_tokens + generation.usage.completion_tokens == 512


def test_a_last_message_that_does_not_fit_is_refused(engine: SerialEngine) -> None:
    with pytest.raises(ContextTooLong, match=r"618 tokens.*window is 512"):
        engine.begin(ask("x" * 600))


def test_tokens_are_counted_with_the_template_around(engine: SerialEngine) -> None:
    assert engine.count((Message("user", "ab"),)) == len("<user>ab\n<assistant>")
    assert engine.count("ab") == 2


def test_the_last_piece_of_random_bytes_is_no_half_character(engine: SerialEngine) -> None:
    for seed in range(10):
        pieces = list(engine.begin(ask(temperature=1.5, seed=seed, max_tokens=30)))
        assert not pieces[-1].endswith("\ufffd")


class Gate:
    """A model whose every step waits until the test lets it go."""

    def __init__(self, engine: SerialEngine) -> None:
        loaded = engine._loaded
        assert loaded is not None
        self._model = loaded.model
        self._let_go = threading.Semaphore(0)
        self.steps = 0
        self._handle = self._model.register_forward_pre_hook(self._wait)

    def _wait(self, *_: Any) -> None:
        assert self._let_go.acquire(timeout=30)
        self.steps += 1

    def open(self, steps: int = 1) -> None:
        self._let_go.release(steps)

    def remove(self) -> None:
        self._handle.remove()
        self.open(100_000)


@pytest.fixture
def gate(engine: SerialEngine) -> Iterator[Gate]:
    gate = Gate(engine)
    yield gate
    gate.remove()
    wait_until(lambda: engine.load() == Load(0, 0), "the engine is idle")


def test_a_cancelled_answer_ends_within_one_step(engine: SerialEngine, gate: Gate) -> None:
    generation = engine.begin(ask(temperature=1.0, seed=1, max_tokens=400))
    gate.open(3)
    wait_until(lambda: gate.steps == 3, "three steps")
    generation.cancel()
    gate.open(100)
    wait_until(lambda: engine.load().running == 0, "the engine is free")
    assert gate.steps <= 4


def test_a_client_that_hangs_up_ends_its_answer_within_one_step(engine: SerialEngine, gate: Gate) -> None:
    gone = threading.Event()
    engine.begin(Request("x", Sampling(max_tokens=400), Deadline(), gone.is_set))
    gate.open(3)
    wait_until(lambda: gate.steps == 3, "three steps")
    gone.set()
    gate.open(100)
    wait_until(lambda: engine.load().running == 0, "the engine is free")
    assert gate.steps <= 4


def test_a_deadline_ends_an_answer_under_way(engine: SerialEngine, gate: Gate) -> None:
    generation = engine.begin(Request("x", Sampling(max_tokens=400), Deadline.after(0.2)))
    with pytest.raises(DeadlineExceeded):
        list(generation)
    gate.open(100)
    wait_until(lambda: engine.load().running == 0, "the engine is free")
    assert gate.steps == 1


def test_requests_are_answered_in_the_order_in_which_they_came(engine: SerialEngine, gate: Gate) -> None:
    ended: list[str] = []
    done = threading.Event()

    def read(name: str, generation: Generation) -> None:
        list(generation)
        ended.append(name)
        if len(ended) == 3:
            done.set()

    for name in "abc":
        generation = engine.begin(ask(max_tokens=3))
        threading.Thread(target=read, args=(name, generation), daemon=True).start()
    assert engine.load().waiting >= 2
    gate.open(9)
    assert done.wait(30)
    assert ended == ["a", "b", "c"]


def test_a_waiting_request_whose_reader_leaves_gives_up_its_place(engine: SerialEngine, gate: Gate) -> None:
    first, second = engine.begin(ask(max_tokens=2)), engine.begin(ask(max_tokens=2))
    wait_until(lambda: engine.load() == Load(1, 1), "one runs, one waits")
    second.cancel()
    assert engine.load() == Load(0, 1)
    gate.open(2)
    list(first)
    assert gate.steps == 2


def test_a_waiting_request_keeps_its_deadline(engine: SerialEngine, gate: Gate) -> None:
    first = engine.begin(ask(max_tokens=2))
    waiting = engine.begin(Request("x", Sampling(), Deadline.after(0.1)))
    with pytest.raises(DeadlineExceeded):
        list(waiting)
    assert engine.load() == Load(0, 1)
    gate.open(2)
    list(first)


def test_a_waiting_request_does_not_outlive_its_client(engine: SerialEngine, gate: Gate) -> None:
    first = engine.begin(ask(max_tokens=2))
    with pytest.raises(ClientGone):
        list(engine.begin(Request("x", Sampling(), Deadline(), lambda: True)))
    gate.open(2)
    list(first)


def test_beyond_the_queue_a_request_is_refused_until_there_is_room(tiny: Path) -> None:
    engine = loaded_engine(tiny, queue_limit=1)
    list(engine.begin(ask(max_tokens=1)))
    gate = Gate(engine)
    first, second = engine.begin(ask(max_tokens=2)), engine.begin(ask(max_tokens=2))
    with pytest.raises(Overloaded) as caught:
        engine.begin(ask())
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after < 10
    gate.remove()
    list(first)
    list(second)
    wait_until(lambda: engine.load() == Load(0, 0), "the engine is idle")
    list(engine.begin(ask(max_tokens=2)))
    engine.close()


def test_a_queue_of_none_takes_one_request(tiny: Path) -> None:
    engine = loaded_engine(tiny, queue_limit=0)
    gate = Gate(engine)
    engine.begin(ask(max_tokens=2))
    with pytest.raises(Overloaded):
        engine.begin(ask())
    gate.remove()
    engine.close()


def test_an_exception_belongs_to_one_request(engine: SerialEngine, caplog: pytest.LogCaptureFixture) -> None:
    loaded = engine._loaded
    assert loaded is not None

    def explode(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory\n  File secret.py, line 1")

    handle = loaded.model.register_forward_pre_hook(explode)
    broken = engine.begin(ask(max_tokens=5))
    with pytest.raises(GenerationFailed) as caught:
        list(broken)
    handle.remove()
    assert str(caught.value) == "RuntimeError: CUDA out of memory"
    assert "generation failed" in caplog.text
    assert engine.begin(ask(max_tokens=5)).why_stop() is None
    assert answer(engine, ask(max_tokens=5, temperature=0)) == answer(engine, ask(max_tokens=5, temperature=0))


def test_a_model_whose_output_is_nan_fails_instead_of_talking_nonsense(engine: SerialEngine) -> None:
    loaded = engine._loaded
    assert loaded is not None

    def spoil(module: Any, args: Any, output: Any) -> Any:
        return output * float("nan")

    handle = loaded.model.lm_head.register_forward_hook(spoil)
    with pytest.raises(GenerationFailed, match="NaN"):
        answer(engine, ask(max_tokens=5, temperature=0))
    handle.remove()


def test_a_failed_generation_over_http_is_a_444_and_a_500(engine: SerialEngine) -> None:
    loaded = engine._loaded
    assert loaded is not None

    def explode(*_: Any) -> None:
        raise RuntimeError("boom")

    handle = loaded.model.register_forward_pre_hook(explode)
    client = create_app(load_settings(), engine).test_client()
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    tutorial, openai = client.post("/", json=chat), client.post("/v1/chat/completions", json=chat)
    handle.remove()
    assert (tutorial.status_code, tutorial.get_json()["status"]) == (200, 444)
    assert tutorial.get_json()["response"] == "大模型预测出错:RuntimeError: boom"
    assert (openai.status_code, openai.get_json()["error"]["code"]) == (500, "generation_failed")


def test_closing_ends_what_runs_and_what_waits(tiny: Path) -> None:
    engine = loaded_engine(tiny)
    gate = Gate(engine)
    running, waiting = engine.begin(ask()), engine.begin(ask())
    threading.Timer(0.05, gate.remove).start()
    engine.close()
    for generation in (running, waiting):
        with pytest.raises(ModelUnavailable):
            list(generation)
    with pytest.raises(ModelUnavailable):
        engine.begin(ask())


def test_a_base_model_without_a_template_goes_on_with_the_text(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path, chat_template=None)
    engine = loaded_engine(base)
    messages = (Message("system", "背景"), Message("user", "问题："))
    text = answer(engine, Request(messages, Sampling(temperature=0, max_tokens=20)))
    assert text == reference(base, "背景\n问题：", max_new_tokens=20).rstrip("\ufffd")
    assert engine.card().has_chat_template is False
    engine.close()


def test_the_model_s_generation_config_gives_the_defaults(tmp_path: Path) -> None:
    make_tiny_model(tmp_path)
    config = '{"do_sample": true, "temperature": 0.3, "top_k": 5, "top_p": 0.85, "repetition_penalty": 1.05,'
    (tmp_path / "generation_config.json").write_text(config + '"max_new_tokens": 12, "eos_token_id": [256, 10]}')
    engine = loaded_engine(tmp_path)
    loaded = engine._loaded
    assert loaded is not None
    defaults = loaded.defaults
    assert (defaults.temperature, defaults.top_k, defaults.top_p) == (0.3, 5, 0.85)
    assert (defaults.repetition_penalty, defaults.max_tokens) == (1.05, 12)
    assert {10, 256} <= set(loaded.stop_ids)
    generation = engine.begin(ask())
    list(generation)
    assert generation.usage.completion_tokens <= 12
    engine.close()


@pytest.mark.parametrize(("precision", "dtype"), [("auto", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")])
def test_precision_is_as_set(tiny: Path, precision: str, dtype: str) -> None:
    engine = loaded_engine(tiny, precision=precision)
    loaded = engine._loaded
    assert loaded is not None
    assert str(loaded.model.dtype) == f"torch.{dtype}"
    generation = engine.begin(ask(max_tokens=3, temperature=0))
    list(generation)
    assert generation.usage.completion_tokens == 3
    engine.close()


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_a_quantized_model_generates_without_a_warning(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("bitsandbytes")
    engine = loaded_engine(make_tiny_model(tmp_path, width=128), precision=precision)
    generation = engine.begin(ask(max_tokens=3, temperature=0))
    list(generation)
    assert generation.usage.completion_tokens == 3
    engine.close()


def failing_engine(**settings: Any) -> tuple[SerialEngine, str]:
    engine = SerialEngine(load_settings(device="cpu", **settings))

    def fault() -> str:
        with pytest.raises(ModelUnavailable) as caught:
            engine.card()
        return str(caught.value)

    wait_until(lambda: "being loaded" not in fault(), "loading has failed", 60)
    return engine, fault()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "can not be loaded"),
        (lambda folder: (folder / "config.json").write_text("{"), "can not be loaded"),
        (lambda folder: folder.rmdir(), "no such folder or file"),
    ],
)
def test_a_model_that_can_not_be_loaded_leaves_the_service_running(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path)
    engine, fault = failing_engine(model=str(tmp_path))
    assert message in fault
    client = create_app(load_settings(lang="en"), engine).test_client()
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, message in ready.text) == (503, True)
    response = client.post("/", json={"messages": [{"role": "user", "content": "hi"}]})
    assert (response.status_code, response.get_json()["response"]) == (503, fault)
    engine.close()


@pytest.mark.parametrize(
    ("missing", "precision", "hint"),
    [("torch", "auto", "bootstrap.py llm"), ("bitsandbytes", "8bit", "bootstrap.py gpu")],
)
def test_a_missing_package_is_named_with_its_extra(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, missing: str, precision: str, hint: str
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    engine, fault = failing_engine(model=str(tiny), precision=precision)
    assert missing in fault
    assert hint in fault
    engine.close()


def test_while_the_model_loads_every_answer_says_so(settings: Settings) -> None:
    go = threading.Event()

    def slow_load(_: Settings) -> LoadedModel:
        go.wait(30)
        raise ModelUnavailable("无", "gone")

    engine = SerialEngine(load_settings(model="big"), slow_load)
    client = create_app(settings, engine).test_client()
    assert client.get("/healthz").status_code == 200
    response = client.post("/", json={"messages": [{"role": "user", "content": "hi"}]})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "big 正在加载" in response.get_json()["response"]
    go.set()
    engine.close()


def test_pace_follows_the_newer_answers() -> None:
    pace = Pace()
    pace.add(2.0)
    assert pace.typical_s == 2.0
    for _ in range(20):
        pace.add(4.0)
    assert 3.9 < pace.typical_s < 4.0


def test_loading_and_generating_say_nothing(tiny: Path, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.WARNING):
        engine = loaded_engine(tiny)
        answer(engine, ask(temperature=0.7, max_tokens=5))
        engine.close()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
