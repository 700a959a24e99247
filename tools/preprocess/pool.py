"""Worker processes with limits: a file that takes too long, too much memory or a library down ends alone."""

import multiprocessing
import resource
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue

import psutil

from service_kit.errors import UnreadableFile, YijuError
from tools.preprocess.entries import Entry, Fault, entry_of
from tools.preprocess.errors import Damaged, DocumentError, OutOfMemory, TimeOut, TooLarge, WorkerDied
from tools.preprocess.output import render
from tools.preprocess.passages import Limits
from tools.preprocess.pipeline import process
from tools.preprocess.tokens import Count, counter

_FILES_PER_WORKER = 500
"""After so many files a worker is replaced: libraries leak."""
_START_S = 60.0
_QUEUED_PER_WORKER = 4


@dataclass(frozen=True)
class Options:
    """What decides the output besides the content of the files, and what one file may take."""

    limits: Limits = field(default_factory=Limits)
    tokenizer: str | None = None
    seconds: float = 120.0
    megabytes: int = 2048
    """Address space that reading one file may take."""
    largest_megabytes: int = 200
    """Size of an input file."""


@dataclass(frozen=True)
class Task:
    """One file to read. `shown`: its path as people read it."""

    file: str
    path: Path
    shown: str


@dataclass(frozen=True)
class Done:
    """What became of a task: its entry and, when there is no fault, its passages by file name."""

    task: Task
    entry: Entry
    passages: dict[str, bytes]


def run_all(tasks: Iterable[Task], options: Options, workers: int) -> Iterator[Done]:
    """All tasks, in the order in which they are done."""
    idle: SimpleQueue[_Worker] = SimpleQueue()
    crew = [_Worker(options) for _ in range(workers)]
    for worker in crew:
        idle.put(worker)

    def one(task: Task) -> Done:
        worker = idle.get()
        try:
            return worker.do(task)
        finally:
            idle.put(worker)

    try:
        with ThreadPoolExecutor(workers) as threads:
            running: set[Future[Done]] = set()
            try:
                for task in tasks:
                    running.add(threads.submit(one, task))
                    if len(running) >= workers * _QUEUED_PER_WORKER:
                        done, running = wait(running, return_when=FIRST_COMPLETED)
                        yield from (future.result() for future in done)
                while running:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            except BaseException:  # interrupted: the threads must not go on to the end of their files
                for future in running:
                    future.cancel()
                for worker in crew:
                    worker.kill()
                raise
    finally:
        for worker in crew:
            worker.stop()


class _Worker:
    """One process, started when it is first needed and again after each death."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._files = 0

    def do(self, task: Task) -> Done:
        """Read one file; whatever happens to the process becomes the entry's fault."""
        try:
            pipe = self._started()
            pipe.send(task)
            if pipe.poll(self._options.seconds):
                done: Done = pipe.recv()
            else:
                self.stop()
                seconds = self._options.seconds
                done = _failed(task, TimeOut(f"超过 {seconds:g} 秒，已停止读取", f"Stopped after {seconds:g} s"))
        except (EOFError, OSError):
            self.stop()
            done = _failed(task, WorkerDied("解析库崩溃，进程已结束", "A library crashed and took the process with it"))
        self._files += 1
        if self._files >= _FILES_PER_WORKER:
            self.stop()
        return done

    def _started(self) -> Connection:
        if self._pipe is None:
            # From a server that has the libraries loaded and no threads: a new worker takes milliseconds.
            context = multiprocessing.get_context("forkserver")
            context.set_forkserver_preload([__name__])
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._options), daemon=True)
            self._process.start()
            theirs.close()
            if not self._pipe.poll(_START_S):
                raise EOFError
            self._pipe.recv()
        return self._pipe

    def kill(self) -> None:
        """End the process and what it started; whoever waits for it sees its pipe end."""
        if self._process is not None and self._process.pid is not None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self._process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
            self._process.kill()

    def stop(self) -> None:
        """End the process and clear away; the next file starts another one."""
        self.kill()
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.join()
            self._process.close()
        self._pipe, self._process, self._files = None, None, 0


def _serve(pipe: Connection, options: Options) -> None:
    """The worker's life: a task in, a Done out, until the pipe ends."""
    count = counter(options.tokenizer)
    # Beyond what it has by now: with a tokenizer, torch alone takes gigabytes of address space.
    limit = psutil.Process().memory_info().vms + options.megabytes * 1024**2
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        pipe.send("ready")
        while True:
            task: Task = pipe.recv()
            pipe.send(_read(task, options, count))


def _read(task: Task, options: Options, count: Count) -> Done:
    """What one file gives; whatever a library raises becomes the entry's fault."""
    try:
        if task.path.stat().st_size > options.largest_megabytes * 1024**2:
            return _failed(task, _too_large(options))
        document = process(task.path.name, task.path.read_bytes(), options.limits, count)
        return Done(task, entry_of(task.shown, document), render(document, task.shown))
    except YijuError as error:
        return _failed(task, error)
    except MemoryError:
        return _failed(task, _out_of_memory(options))
    except RecursionError:
        return _failed(task, Damaged("嵌套过深", "Nested too deeply"))
    except OSError as error:
        reason = error.strerror or str(error)
        return _failed(task, UnreadableFile(f"读不了：{reason}", f"Can not be read: {reason}"))
    except Exception as error:  # noqa: BLE001  # libraries raise anything on malformed files
        name = type(error).__name__
        return _failed(task, Damaged(f"文件无法解析（{name}）", f"The file can not be parsed ({name}: {error})"))


def _failed(task: Task, error: YijuError) -> Done:
    name = error.name if isinstance(error, DocumentError) else type(error).__name__
    return Done(task, Entry(task.shown, fault=Fault(name, error.words)), {})


def _too_large(options: Options) -> TooLarge:
    limit = options.largest_megabytes
    return TooLarge(f"文件超过 {limit} MB", f"The file is over {limit} MB")


def _out_of_memory(options: Options) -> OutOfMemory:
    return OutOfMemory(f"超过 {options.megabytes} MB 内存", f"It takes more than {options.megabytes} MB of memory")
