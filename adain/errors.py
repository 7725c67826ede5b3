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
