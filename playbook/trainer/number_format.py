"""Which number format a model computes in: the one whose products are quicker on this machine, found by trying.

Must not import torch when it is imported itself.
"""

import math
import time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

#: Products of each number format by which the quicker one is chosen; the shortest is what no other process disturbed.
_PROBE_TRIALS = 8
#: Times by which one may be slower and still be tried again. Without instructions for bfloat16 each takes a second.
_FAR_SLOWER = 5


def faster_dtype(device: "torch.device") -> str:
    """Return "bfloat16" or "float32", whichever `probe_products` finds quicker here; on a GPU what it was built for."""
    import torch

    if device.type == "cuda":
        # GPUs before Ampere emulate bfloat16, without their tensor cores.
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    probed = probe_products()
    return max(probed, key=lambda name: probed[name])


@cache
def probe_products() -> dict[str, float]:
    """Measure a few matrix products on the CPU and return floating-point operations a second by number format.

    CPUs without bfloat16 instructions emulate it at a tenth of the speed, so the right choice depends on the machine.
    Measured once a process; the effective configuration records it.
    """
    import torch

    factors = {
        name: (torch.ones(512, 576, dtype=getattr(torch, name)), torch.ones(576, 1536, dtype=getattr(torch, name)))
        for name in ("bfloat16", "float32")
    }
    for left, right in factors.values():
        left @ right  # the first call compiles the kernel
    shortest = dict.fromkeys(factors, math.inf)
    for _ in range(_PROBE_TRIALS):
        for name, (left, right) in factors.items():
            if math.inf > shortest[name] > _FAR_SLOWER * min(shortest.values()):
                continue
            # By the processor's clock and in turns: on a busy machine the other processes must not decide.
            start = time.thread_time()
            left @ right
            shortest[name] = min(shortest[name], time.thread_time() - start)
    return {name: 2 * 512 * 576 * 1536 / seconds for name, seconds in shortest.items()}
