"""Exceptions of the engine and of model files; the binding raises the same classes."""


class EngineError(RuntimeError):
    """The engine could not do what it was asked; base of all others."""


class ArgumentError(EngineError, ValueError):
    """An argument breaks the contract of the function."""


class ModelFileError(EngineError, ValueError):
    """A model file is missing, truncated, malformed or of a version that is not known."""


class BackendError(EngineError):
    """The backend is not built in, or there is no such device."""


class OutOfMemoryError(EngineError, MemoryError):
    """An allocation failed."""


class ExchangeError(EngineError):
    """A halo-exchange callback reported a failure."""


class NumericError(EngineError, ValueError):
    """NaN or infinity in the input or in the result."""


class InternalError(EngineError):
    """A mistake in camlip itself; worth a report."""
