"""Errors of this package. Every message names the model, input or file, and the remedy."""


class ModelError(Exception):
    """Base of the errors that a user can act on."""


class InputError(ModelError, ValueError):
    """Inputs or labels have the wrong shape, axes or values."""


class CatalogError(ModelError, KeyError):
    """No such model or hyper-parameter in the catalog, or a value that it cannot take."""

    def __str__(self) -> str:  # KeyError would show the message's repr
        return str(self.args[0]) if self.args else ""


class LeakageError(ModelError):
    """A computation would use data that was not available at its date (look-ahead)."""


class TrainingError(ModelError):
    """A model cannot be trained, or its training failed."""


class CheckpointError(ModelError):
    """A stored model is missing, incomplete or altered."""
