"""What goes wrong with models."""


class ModelError(ValueError):
    """A model that cannot be loaded or used; the message says what to do."""
