"""The pieces of llm_server's answer, as they come."""

from collections.abc import Callable, Generator

from service_kit.chat_bodies import ChatBody
from service_kit.clients.chat import ChatClient
from service_kit.deadline import Deadline


def pieces_of(llm: ChatClient, body: ChatBody, deadline: Deadline, is_gone: Callable[[], bool]) -> Generator[str]:
    """Text from llm_server; closing this generator ends the making there.

    Raises what ChatClient.begin says, before the first piece or, when llm_server breaks off, between two.
    """
    generation = llm.begin(body.to_messages(), body.to_sampling(), deadline, is_gone)
    try:
        yield from generation
    finally:
        generation.cancel()
