"""One article with everything that an article may hold, for tests and pictures."""

import struct
import zlib

ARTICLE = "train/every-block"


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


#: 480 by 120 pixels of blue.
PICTURE = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 480, 120, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress((b"\x00" + b"\x6b\x8c\xd9" * 480) * 120))
    + _chunk(b"IEND", b"")
)

BLOCKS = r"""---
title: Every block that an article may hold
summary: A page for the eye, on which each part of the library's Markdown stands once.
owner: Erin Vogel
reviewed: 2026-10-02
review_in: 30d
claims: [C11]
tags: [lora, training]
aliases: [all-blocks]
related: [train/what-lora-changes]
sources:
  - title: "LoRA: Low-Rank Adaptation of Large Language Models"
    author: Hu et al.
    date: 2021-06
    url: https://example.org/a-long-address-without-a-single-space-in-it/that-has-to-break-somewhere.html
    accessed: 2026-11-01
  - title: A talk without an address
    author: Somebody
    accessed: 2026-11-01
---
A LoRA run trains an adapter and leaves the base model alone.[^one] Read [[what-lora-changes]] first, then
[when it pays off](../decide/when-fine-tuning-pays-off.md), or [[#a-table|the table]] below.

## Code

```python
from peft import LoraConfig

config = LoraConfig(r=16, lora_alpha=32, target_modules=["q_proj", "v_proj"])  # a line that is longer than a phone
```

Inline `code` and a_long_identifier_that_nobody_would_write_but_somebody_will = `transformers.models.llama.modeling`.

## Formulas

The update is $W' = W + \frac{\alpha}{r} B A$ with $B \in \mathbb{R}^{d \times r}$.

$$\mathcal{L} = -\frac{1}{N} \sum_{i=1}^{N} \log p_\theta(y_i \mid x_i)$$

## A table

| method | trained | memory | price an hour | a column that makes it wide |
|---|--:|--:|--:|---|
| LoRA | 3,686,400 | 7.1 GB | 2.00 | on one card |
| full | 3,085,938,688 | 57.2 GB | 16.00 | on several, with a scheduler |

### Lists

1. First, measure the baseline.
    - with the prompt alone
    - with examples
2. Then tune.

> A quotation of somebody who knew.

![A blue rectangle](dot.png)

/// figure | the-loop
A drawing with its caption, after Hu et al. (2021).
///

## Notices

/// note
Something to know.
///

/// tip | Begin small
Two steps, then the long run.
///

/// warning
The learning rate is ten times that of full tuning.
///

/// danger | Never
Train on the test rows.
///

/// disagree
Hu et al. adapt the attention alone. Later work adapts all linear layers.
///

/// tab | Python
```python
print("one")
```
///

/// tab | Shell
```sh
echo two
```
///

## Live parts

/// checklist | should-we-fine-tune
///

/// job | support-tickets-lora
///

/// evidence | C11
///

/// calculator | lora-memory?rank=32
///

/// calculator | test-rows
///

[^one]: Hu et al., section 4.
"""
