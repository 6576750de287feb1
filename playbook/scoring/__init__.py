"""Metrics and statistics on per-item results. Imports contracts alone: no Django, no torch.

`metrics` judges one output, `statistics` counts, `compare` fills the scores of a report, `overlap` looks at two splits.
"""
