"""What a tokenizer can do of `features.folded_text` by itself, for models that run without drugscan.

A tokenizer replaces what matches by one fixed string and cannot count, so two foldings stay drugscan's own: words with
a blank, dot or dash between their letters, and digits in place of letters.
"""

import json
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from tokenizers import Tokenizer

from drugscan.models.features import ACCENTS, FANCY, INVISIBLE, LEET_LETTERS, LOOKALIKES

_SIGNS: Final = "@$!€"
_IN_A_LATIN_WORD: Final = r"(?:(?=\w*[a-z])|(?<=[a-z]\w*))"


def with_folding(tokenizer: Tokenizer) -> Tokenizer:
    """A copy that folds what it is given, as far as a tokenizer can; its own normalizer comes after that."""
    spec = json.loads(tokenizer.to_str())
    own = [spec["normalizer"]] if spec["normalizer"] else []
    spec["normalizer"] = {"type": "Sequence", "normalizers": [*_steps(), *own]}
    return Tokenizer.from_str(json.dumps(spec))


def _steps() -> list[dict[str, Any]]:
    """Normalizers in the order of `folded_text`."""
    fancy = [_replaced(f"[{found}]", letter) for letter, found in _by_letter(FANCY).items()]
    signs = [_replaced(rf"(?<=[a-z])\{sign}(?=[a-z])", chr(LEET_LETTERS[ord(sign)])) for sign in _SIGNS]
    twins = {twin: chr(letter) for twin, letter in LOOKALIKES.items() if chr(twin) not in _SIGNS}
    alike = [_replaced(f"[{found}]{_IN_A_LATIN_WORD}", letter) for letter, found in _by_letter(twins).items()]
    return [
        _replaced(INVISIBLE.pattern, ""),
        *fancy,
        {"type": "NFKC"},
        {"type": "Lowercase"},
        *signs,
        _replaced(ACCENTS.pattern, ""),
        *alike,
        _replaced(r"([a-z])(?=\1\1)", ""),  # of three and more of a letter two are left
        {"type": "Strip", "strip_left": True, "strip_right": True},
    ]


def _replaced(pattern: str, content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": {"Regex": pattern}, "content": content}


def _by_letter(letters: Mapping[int, str]) -> dict[str, str]:
    """Letter -> all characters that stand for it, in one string: one pass of the tokenizer each."""
    found: defaultdict[str, str] = defaultdict(str)
    for point, letter in letters.items():
        found[letter] += chr(point)
    return dict(found)
