"""AAC sound as broadcasts and camcorders have it: each packet begins with a header (ADTS) that other containers have but once."""

from __future__ import annotations

from typing import Any

_SYNC = 0xFFF
"""The first twelve bits of a header."""


def configuration(packet: bytes) -> bytes | None:
    """The AudioSpecificConfig (ISO 14496-3) that the header of a packet stands for; None if it has none."""
    if len(packet) < 7 or int.from_bytes(packet[:2], "big") >> 4 != _SYNC:
        return None
    kind = (packet[2] >> 6) + 1
    rate = packet[2] >> 2 & 15
    channels = (packet[2] & 1) << 2 | packet[3] >> 6
    return (kind << 11 | rate << 7 | channels << 3).to_bytes(2, "big")


def may_be_adts(stream: Any) -> bool:
    """Whether a stream's packets may have such headers: AAC whose container tells nothing of it."""
    return (
        stream.type == "audio"
        and bool(stream.codec_context)
        and stream.codec_context.codec.canonical_name == "aac"
        and not (stream.codec_context.extradata)
    )
