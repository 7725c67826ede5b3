"""DatasetError: what stands in the way of a whole run."""

from ..adain.errors import AdaINError


class DatasetError(AdaINError):
    """A source, target or cluster that cannot be used, or a run that cannot go on."""
