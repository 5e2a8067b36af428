"""Frames survive whatever way their bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ucmlab.cluster.framing import LARGEST_FRAME, LENGTH, BrokenFrame, FrameDecoder, framed


@given(st.lists(st.binary(max_size=200)), st.data())
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(bodies: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(framed(body) for body in bodies)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    decoder = FrameDecoder()
    found: list[bytes] = []

    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += decoder.feed(stream[start:end])

    assert found == bodies


def test_a_length_that_no_frame_has_is_refused_before_memory_is_taken() -> None:
    with pytest.raises(BrokenFrame, match=f"^a frame of {LARGEST_FRAME + 1} bytes is longer than {LARGEST_FRAME}$"):
        FrameDecoder().feed(LENGTH.pack(LARGEST_FRAME + 1))
