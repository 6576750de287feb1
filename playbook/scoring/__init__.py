"""Metrics and statistics on per-item results. Imports contracts alone: no Django, no torch.

In the order of a report's life: `settings` says whether a metric can be used, `metrics` judges one answer (`values`,
`text`, `schema`, `patterns`), `compare` makes the scores of an arm with `statistics` and `bootstrap`, `table` lays the
arms beside each other with `costs`, `noise` and `power`, `verdict` says it in a sentence, `rows` and `labels` show what
lies behind it, `export` writes it down. `preference` counts what people prefer, `overlap` looks at two splits.
"""
