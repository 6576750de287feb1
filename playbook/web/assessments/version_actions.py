"""Moving an open assessment to a newer version of its checklist.

A draft of a decision goes along, and its page says so. What people are asked to sign, or have accepted, stays where it
is: a proposal is withdrawn first, and an accepted decision has locked the assessment.
"""

from django.db import transaction

from playbook.library.definition import Checklist
from playbook.library.versions import SecondLook, second_looks
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_row
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import checklist_of, current_answers
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict

#: The status of a decision that people are asked to sign: that app stands above this one.
_PROPOSED = "proposed"


@transaction.atomic
def move_to_version(
    assessment: Assessment, *, checklist: Checklist, seen_digest: str, actor: User
) -> tuple[SecondLook, ...]:
    """Put the assessment under `checklist`, keep every answer, and return those to look at again.

    `seen_digest` is that of the version whose difference the actor saw. Raises Conflict when the assessment is locked,
    a decision from it is proposed, the checklist changed meanwhile, or it is under that version already.
    """
    locked = lock_row(assessment)
    if checklist.digest != seen_digest:
        raise Conflict("The checklist changed again after you opened this page; look at the difference once more.")
    if locked.checklist_digest == checklist.digest:
        raise Conflict(f"This assessment is under version {checklist.version} already.")
    if proposed := proposed_from(locked):
        raise Conflict(
            f"{proposed} is proposed: people sign what this version asks and recommends. Withdraw it first, or start a "
            "new assessment with the new version."
        )
    before = checklist_of(locked)
    looks = second_looks(before, checklist, {name: row.value for name, row in current_answers(locked).items()})
    ids = {question.id for question in checklist.questions}
    wanted = {look.question.id for look in looks} & set(current_answers(locked)) | set(locked.look_again)
    left = (locked.checklist_version, locked.checklist_digest)
    locked.checklist_version, locked.checklist_digest = checklist.version, checklist.digest
    locked.definition = checklist.model_dump(mode="json")
    locked.look_again = [question.id for question in checklist.questions if question.id in wanted & ids]
    locked.save(update_fields=["checklist_version", "checklist_digest", "definition", "look_again"])
    record(
        "moved to version",
        locked,
        actor=actor,
        before_version=left[0],
        before_digest=left[1],
        after_version=checklist.version,
        after_digest=checklist.digest,
        look_again=locked.look_again,
    )
    return looks


def proposed_from(assessment: Assessment) -> str:
    """Return the numbers of the decisions from it that people are asked to sign, as `D-4` or `D-4 and D-7`; ""."""
    numbers = assessment.decisions.filter(status=_PROPOSED).order_by("number").values_list("number", flat=True)
    return " and ".join(f"D-{number}" for number in numbers)
