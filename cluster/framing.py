"""Frames on a byte stream: four bytes of length, then that many bytes. Pure."""

import struct

LENGTH = struct.Struct("!I")
LARGEST_FRAME = 1 << 30
"""1 GiB. A dump of the product's largest cluster is a few MB, of 200 nodes 110; a longer length is garbage."""


class BrokenFrame(Exception):
    """The peer sent a length that no frame of ours has."""

    def __init__(self, length: int) -> None:
        """Keep the length."""
        super().__init__(f"a frame of {length} bytes is longer than {LARGEST_FRAME}")
        self.length = length


def framed(body: bytes) -> bytes:
    """`body` as it goes over the wire.

    Raises:
        BrokenFrame: it is too long to be sent.
    """
    if len(body) > LARGEST_FRAME:
        raise BrokenFrame(len(body))
    return LENGTH.pack(len(body)) + body


class FrameDecoder:
    """Takes bytes as they come, gives frames when they are whole."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes, return the frames that they complete.

        Raises:
            BrokenFrame: what came is none of ours; the stream is of no more use.
        """
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= LENGTH.size:
            (length,) = LENGTH.unpack_from(buffer, start)
            if length > LARGEST_FRAME:
                raise BrokenFrame(length)
            end = start + LENGTH.size + length
            if len(buffer) < end:
                break
            frames.append(bytes(buffer[start + LENGTH.size : end]))
            start = end
        del buffer[:start]
        return frames
