"""Pictures in WebDataset shards: where in a tar file each lies, so that any is read without those before it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import NamedTuple

from ..adain.errors import ImageError, reason
from ..adain.media.decoding import Encoded
from ..adain.media.images import EXTENSIONS


class Member(NamedTuple):
    """A picture in a shard: its name, and where its bytes are."""

    shard: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.shard}/{self.name}"

    def read(self) -> Encoded:
        """The bytes of the file. Raises ImageError if the shard cannot be read, or is shorter than it was."""
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise ImageError(f"{self} cannot be read ({reason(error)}). Check that the shard is there.") from error
        if len(data) < self.size:
            raise ImageError(f"{self} ends too early. The shard is truncated, or was changed while it was in use.")
        return Encoded(data, str(self))


def members(shard: Path) -> list[Member]:
    """The pictures in a shard, in order; only headers are read. Raises ImageError if it is no tar file or a damaged one."""
    try:
        with tarfile.open(shard, "r:") as archive:
            return [
                Member(shard, member.name, member.offset_data, member.size)
                for member in archive
                if member.isfile() and os.path.splitext(member.name)[1].lower() in EXTENSIONS
            ]
    except (tarfile.TarError, OSError) as error:
        raise ImageError(f"The shard {shard} cannot be read ({reason(error)}). Download it again, or leave it out.") from error
