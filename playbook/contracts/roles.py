"""Roles of people in a use case. Checklists name the signing roles; the site grants them."""

from enum import StrEnum


class Role(StrEnum):
    OWNER = "owner"
    CONTRIBUTOR = "contributor"
    ML_LEAD = "ml_lead"
    PRODUCT_OWNER = "product_owner"
    DATA_STEWARD = "data_steward"
    VIEWER = "viewer"

    @property
    def label(self) -> str:
        """`ml_lead` → `ML lead`."""
        return self.value.replace("_", " ").capitalize().replace("Ml ", "ML ")


SIGNING_ROLES = frozenset({Role.ML_LEAD, Role.PRODUCT_OWNER, Role.DATA_STEWARD})
#: Who may answer, draft, launch and record. Signing roles may too: a lead who spots a wrong answer corrects it.
WRITING_ROLES = frozenset({Role.OWNER, Role.CONTRIBUTOR}) | SIGNING_ROLES
