"""An experiment: a claim made runnable, one file in `content/experiments/`."""

from pydantic import Field

from playbook.contracts.model import Frozen
from playbook.contracts.run_spec import Arm


class Experiment(Frozen):
    """What to measure, and what we expect to see before it is measured. Its report: `content/reports/<slug>/`."""

    slug: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    title: str
    claim: str = Field(pattern=r"^C[0-9]{2}$", description="of content/claims.yaml")
    dataset: str = Field(description="slug of a shipped dataset; its documents are searched where an arm retrieves")
    recipe: str = Field(description="slug of a recipe")
    expected: str = Field(description="what we expect to see, in a sentence")
    enough: Arm = Field(description="the simplest arm that no other one is expected to beat")
