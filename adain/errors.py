"""Exceptions of this package. Their text says what was found, what was expected and what to do."""


class AdaINError(Exception):
    """Base of every error that a user of this package can meet."""


class ImageError(AdaINError):
    """An image, mask or tensor that cannot be used."""


class StyleError(AdaINError):
    """A style, blend or region that cannot be used."""


class ModelError(AdaINError):
    """A model file that cannot be used."""


class KeyframeError(AdaINError):
    """Keyframes that cannot be read; the text names the line."""


class VideoError(AdaINError):
    """A video that cannot be read or written."""


def counted(number: int, noun: str) -> str:
    """`1 picture` or `2 pictures`, for sentences."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def reason(error: BaseException) -> str:
    """What the system or a library says went wrong, in its own words on one line."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
