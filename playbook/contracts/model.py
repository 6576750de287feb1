"""The base of every value that crosses a boundary."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Frozen(BaseModel):
    """An immutable value. Unknown fields are an error, so a typing mistake never passes in silence."""

    model_config = ConfigDict(frozen=True, extra="forbid")
