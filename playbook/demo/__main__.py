"""The entry of `make demo`. Checks the Python version before importing anything that an older Python cannot read."""

import sys

from playbook.demo.python_version import refusal


def start() -> int:
    message = refusal(sys.version_info[:2])
    if message:
        sys.exit(message)
    from playbook.demo.run import main  # written for Python 3.11, so read after the check

    return main()


if __name__ == "__main__":
    sys.exit(start())
