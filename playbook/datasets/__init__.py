"""Files that people bring → validated rows in the chat format, checked and split. No Django, no torch.

`formats` says what a row means, `readers` take rows from files in bounded memory, `problems` collects what is wrong,
`checks` finds what is suspicious, `splits` deals rows out, `importing` joins them. `python -m playbook.datasets DIR`
does one import in a process of its own.
"""
