"""The base of every value that crosses a boundary."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable value. Unknown fields are an error, so a typing mistake never passes in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")
