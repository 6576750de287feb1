"""How apps above this one learn that a job has ended: in the transaction that ends it, whatever ended it."""

from django.dispatch import Signal

#: Sent with `job_pk`. A receiver must not raise: it would keep the job from ending.
job_ended = Signal()
