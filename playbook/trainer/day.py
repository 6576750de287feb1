"""The day that a chat template is told when it asks for today's: always the same one.

Some templates print the date into every prompt (Llama 3.2, SmolLM3, gpt-oss). By the clock a run that goes on tomorrow,
its merge or a playground next month would ask with other tokens than those that were learned. Imports no torch.
"""

from datetime import datetime
from functools import cache

#: The day that Llama 3.2's own template takes where nobody tells it one.
DAY = datetime(2024, 7, 26)
#: What templates ask with: transformers gives them this function.
_ASKED_WITH = "strftime_now"
#: What `strftime` replaces, as each stands in a format; "-" leaves out leading zeros.
_DIRECTIVES = [f"%{letter}" for letter in ("-d", "-m", "-H", "-I", "-j", "-M", "-S", *"aAbBcdDeFHIjmMpSTuUwWxXyYZ")]


def asks_for_the_day(template: object) -> bool:
    return isinstance(template, str) and _ASKED_WITH in template


@cache
def told_the_day(template: str) -> str:
    """Return a template that answers itself when it asks for the day.

    transformers hands templates its own clock and takes no other, so the answer stands in front of the template, as a
    macro under the same name, on a line of its own: what a template begins with means something else within a line.
    """
    filters = "".join(f"|replace('{asked}', '{DAY.strftime(asked)}')" for asked in _DIRECTIVES)
    return f"{{%- macro {_ASKED_WITH}(format) -%}}{{{{ format{filters} }}}}{{%- endmacro %}}\n{template}"
