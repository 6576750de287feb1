"""What the database itself refuses on prompts, whoever asks."""

from playbook.web.common.guards import append_only

GUARDS = append_only("prompts.PromptVersion", "prompt_version", "versions of prompts")
