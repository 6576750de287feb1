"""How apps above this one learn that an answer was appended: in the transaction that appends it."""

from django.dispatch import Signal

#: Sent with `assessment` and `answer`. A receiver must not raise: the answer would be lost.
answer_appended = Signal()
