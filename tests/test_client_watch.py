"""Calls whose whole answer takes too long are hung up on; those that are over are left alone."""

import socket
from collections.abc import Iterator

import pytest

from service_kit.clients.watch import current_watch, watched
from tests.servers import wait_until


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    with near, far:
        yield near, far


def test_the_connection_is_shut_down_when_the_time_is_over(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    with watched(0.0) as watch:
        assert current_watch.get() is watch
        watch.look_at(near)
        wait_until(lambda: watch.is_over, "the time is over")
        assert far.recv(1) == b""
    assert current_watch.get() is None


def test_a_connection_that_is_shown_too_late_is_shut_down_at_once(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    with watched(0.0) as watch:
        wait_until(lambda: watch.is_over, "the time is over")
        watch.look_at(near)
        assert far.recv(1) == b""


def test_the_connection_of_a_call_that_is_over_is_another_ones(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    with watched(60.0) as watch:
        watch.look_at(near)
    watch.end()
    near.sendall(b"x")
    assert far.recv(1) == b"x"
