"""Errors raised by the model floor. Every message names the place and the remedy."""


class ModelError(Exception):
    """Base of the errors that a user can act on."""


class InputError(ModelError, ValueError):
    """Inputs or labels have the wrong shape, axes or values."""


class CatalogError(ModelError, KeyError):
    """A model or a hyper-parameter that the catalog does not know, or a value it cannot take."""

    def __str__(self) -> str:  # KeyError would show the message's repr
        return str(self.args[0]) if self.args else ""


class LeakageError(ModelError):
    """A computation would use data that was not known at its date."""


class TrainingError(ModelError):
    """A model cannot be trained, or its training broke."""


class CheckpointError(ModelError):
    """A stored model is missing, incomplete or altered."""
