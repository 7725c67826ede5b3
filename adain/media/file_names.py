"""Names of files that no file system takes for one another."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

_Name = TypeVar("_Name")


def folded(name: object) -> str:
    """A form of a name or path that is the same for all names of one file on macOS or Windows."""
    return unicodedata.normalize("NFC", str(name)).casefold()


def told_apart(candidates: Sequence[Sequence[_Name]]) -> list[_Name]:
    """The first of each of `candidates` that none of the others takes; its last one, whatever the others take."""
    left = [list(own) for own in candidates]
    while True:
        counts = Counter(folded(own[0]) for own in left)
        equal = [own for own in left if counts[folded(own[0])] > 1 and len(own) > 1]
        if not equal:
            return [own[0] for own in left]
        for own in equal:
            del own[0]
