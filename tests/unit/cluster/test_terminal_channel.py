"""One channel of an SSH connection: a client that does not read is not listened to either."""

import asyncio
from typing import Any, cast

from ucmlab.cluster.admin.accounts import make_admin
from ucmlab.cluster.admin.desk import Caller
from ucmlab.cluster.admin.terminal import ssh


class Wire:
    """Where asyncssh would be."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")


class Typist:
    """In the place of a session: so much output for each piece that the client is behind with it."""

    def __init__(self, channel: ssh._Channel) -> None:
        self.channel = channel
        self.heard: list[str] = []

    def typed(self, text: str) -> None:
        self.heard.append(text)
        self.channel.pause_writing()

    def end_of_input(self) -> None:
        self.heard.append("the end")

    def unread(self) -> None:
        pass

    def read(self) -> None:
        pass


async def test_what_is_typed_is_heard_in_pieces_and_each_waits_until_the_client_has_read() -> None:
    caller = Caller(make_admin("a", "b", "platform", privilege=4), "ssh", "127.0.0.1", "127.0.0.2")
    async with asyncio.TaskGroup() as tasks:
        channel = ssh._Channel(cast("Any", None), caller, tasks, lambda _: None)
        wire = Wire()
        channel.connection_made(cast("Any", wire))
        channel._session = typist = cast("Any", Typist(channel))
        channel.data_received("?" * (2 * ssh.AT_ONCE + 1), None)
        channel.eof_received()
        assert typist.heard == ["?" * ssh.AT_ONCE]
        channel.resume_writing()
        assert (len(typist.heard), wire.done) == (2, ["pause", "pause"])
        channel.resume_writing()
        assert typist.heard[2:] == ["?", "the end"]
        channel.resume_writing()
        assert wire.done == ["pause", "pause", "pause", "resume"]
