"""Quiz answers, closed: the fingerprint of a right option, and reasons that nobody reads by accident.

A lesson's source holds the reasons as a mapping, and the right letters in its solution. The notebooks hold a digest of the
right letter, which differs between lessons and questions, and the reasons encoded. This keeps an honest student from
seeing the answer before answering. It is no secret: who decodes it has worked for it.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping


def digest(lesson: int | str, name: str, option: str) -> str:
    """Return the fingerprint of an option of a quiz question, such as ``"02-49223525391d"``.

    Args:
        lesson: its number.
        name: of the question.
        option: case and outer blanks do not count.
    """
    text = f"medcourse quiz {int(lesson):02d} {name}: {option_of(option)}"
    return f"{int(lesson):02d}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def option_of(answer: str) -> str:
    """The option that is meant: lower case, without outer blanks."""
    return answer.strip().lower()


def encode(reasons: Mapping[str, str]) -> str:
    """Return option -> reason as one line of letters and digits."""
    return base64.b64encode(zlib.compress(json.dumps(dict(reasons)).encode(), 9)).decode()


def decode(encoded: str) -> dict[str, str]:
    """Return what `encode` was given.

    Raises:
        ValueError: the text is not what `encode` returns.
    """
    try:
        return dict(json.loads(zlib.decompress(base64.b64decode(encoded))))
    except (zlib.error, ValueError, TypeError) as error:
        raise ValueError(f"not encoded reasons: {error}") from None
