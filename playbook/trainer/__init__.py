"""Trains LoRA adapters and measures them: `python -m playbook.trainer RUN_DIR`. No HTTP in a run, no Django.

In the order of a run: `prepare` (data, prompt, questions) → `model` → `train` (schedule, checkpoint) → `artifacts` →
`evaluate` → report; `run` puts the last five together, `emit`, `stop` and `errors` serve all. `sample_model` and
`download` fetch the sample base model beforehand.
"""
