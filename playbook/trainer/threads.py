"""How the threads of a matrix product wait for each other, chosen by how busy the machine is when a run starts.

A small model's step is thousands of short operations, and a thread that sleeps between two of them wakes late: on an
idle machine of 2 cores waiting threads that spin made steps of the sample job 1.6 times as quick (390 to 630 tokens/s).
Beside another busy process the same spinning takes the core from whoever should be waited for, and steps took 2.8 times
as long (417 to 150 tokens/s). OpenMP reads its policy once, when torch is imported: so this must not import it.
"""

import os
import time
from pathlib import Path

_STAT = Path("/proc/stat")
_LOOK_SECONDS = 0.25
#: Cores that must be idle, as a share of those that we will use.
_IDLE_ENOUGH = 0.85
#: Turns of the waiting loop, about a millisecond; then a thread sleeps after all.
SPIN = "20000"
POLICY, SPIN_COUNT = "OMP_WAIT_POLICY", "GOMP_SPINCOUNT"


def choose_waiting(*, look_seconds: float = _LOOK_SECONDS) -> str:
    """Set OpenMP's environment variables unless somebody did, and return what threads will do: "spin" or "sleep"."""
    if POLICY in os.environ or SPIN_COUNT in os.environ:
        return "as set"
    if idle_cores(look_seconds) >= _IDLE_ENOUGH * len(os.sched_getaffinity(0)):
        os.environ[SPIN_COUNT] = SPIN
        return "spin"
    os.environ[POLICY] = "PASSIVE"
    return "sleep"


def idle_cores(look_seconds: float) -> float:
    """Return how many cores' worth of time nobody used while we looked; 0 where the kernel does not tell."""
    try:
        before = _idle_ticks()
        time.sleep(look_seconds)
        after = _idle_ticks()
    except (OSError, ValueError):
        return 0.0
    return (after - before) / os.sysconf("SC_CLK_TCK") / look_seconds


def _idle_ticks() -> int:
    # "cpu user nice system idle iowait …", in ticks, all cores together (man 5 proc).
    fields = _STAT.read_text().split("\n", 1)[0].split()
    return int(fields[4]) + int(fields[5])
