"""Which model is meant, and where it runs: the one struct that travels from the options to every worker."""

import msgspec


class Choice(msgspec.Struct, frozen=True):
    """A choice of model."""

    model: str = "default"
    """Name of a shipped model, folder (local or `s3://`), or Hub name; not looked at when there is a pair."""
    detector: str | None = None
    categoriser: str | None = None
    """Folders or Hub names of a pair of Hugging Face classifiers; both or neither."""
    labels: tuple[tuple[str, str], ...] = ()
    """(their name of an output, our name of it or "" to leave it out), for the outputs of Hugging Face classifiers."""
    device: str = "auto"
    """`auto`, `cpu` or `cuda`; for models that run on torch."""
    dtype: str | None = None
    """`float32` or `bfloat16`; the faster one on the device if None. Part of the id of a model on torch."""
    batch_tokens: int | None = None
    """Tokens of a batch, its padding included; what suits the device if None."""
    model_id: str | None = None
    """The id that the model must turn out to have, so that no worker scores with another; any if None."""
