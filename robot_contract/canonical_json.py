"""One spelling of a JSON document, so that its digest means something.

Keys sorted, no spaces, numbers as Python's shortest round-trip form, no NaN or infinity, UTF-8.
"""

import hashlib
import json
from typing import Any


def canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(document: Any) -> str:
    """sha256 of the canonical form, hexadecimal."""
    return hashlib.sha256(canonical(document).encode()).hexdigest()
