"""The drawings of the articles, their numbers computed: `python -m playbook.figures` writes content/figures/."""
