"""Words to token ids, by one `tokenizer.json` on disk: the small one built here or a Llama-2 one, no network.

The small one has a token for each known word; any other word is spelled in bytes, so that an instruction
outside the training vocabulary still says something and nothing is ever dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from policy_server.model.config import TokenIds
from robot_contract.errors import ContractError

FILE = "tokenizer.json"
_WORD = r"[a-z0-9]+|[^\sa-z0-9]"
_FIRST_BYTE = 4  # after pad, bos, stop and the action prefix
_FIRST_WORD = _FIRST_BYTE + 256


class PromptTokenizer:
    def __init__(self, tokenizer: Tokenizer, ids: TokenIds) -> None:
        tokenizer.encode_special_tokens = True  # "</s>" inside an instruction is four characters, no stop
        self._tokenizer = tokenizer
        self._ids = ids

    def encode(self, prompt: str) -> list[int]:
        """Return BOS, the prompt, and the action prefix as its last token."""
        tokens = self._tokenizer.encode(prompt, add_special_tokens=False).ids
        if tokens[-1:] != [self._ids.action_prefix]:
            tokens = [*tokens, self._ids.action_prefix]
        return [self._ids.bos, *tokens]

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(self._tokenizer.to_str(pretty=True), encoding="utf-8")

    @staticmethod
    def load(folder: Path, ids: TokenIds) -> PromptTokenizer:
        """Read `tokenizer.json`; refuse one whose special tokens are not those of `model.json`."""
        file = folder / FILE
        try:
            tokenizer = Tokenizer.from_str(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ContractError(f"{file}: this file is missing") from None
        except Exception as error:  # noqa: BLE001 - the Rust parser raises the bare class
            raise ContractError(f"{file}: expected a tokenizer in JSON, found {error}") from None
        for token, expected in (("<s>", ids.bos), ("</s>", ids.stop), ("▁", ids.action_prefix)):
            found = tokenizer.token_to_id(token)
            if found != expected:
                raise ContractError(f"{file}: expected {token!r} to have id {expected}, found {found}")
        return PromptTokenizer(tokenizer, ids)


def words_of(text: str) -> list[str]:
    return re.findall(_WORD, text.lower())


def word_tokenizer(texts: Iterable[str], ids: TokenIds) -> PromptTokenizer:
    """Return the small tokenizer that knows the words of `texts`: the most frequent, if not all fit."""
    counts: dict[str, int] = {}
    for text in texts:
        for word in words_of(text):
            counts[word] = counts.get(word, 0) + 1
    room = ids.action_end - ids.action_bins - _FIRST_WORD
    if room < 0:
        raise ContractError(
            f"word tokenizer: expected at least {_FIRST_WORD} ids before the action ids, "
            f"found {ids.action_end - ids.action_bins}"
        )
    specials = {"<pad>": ids.pad, "<s>": ids.bos, "</s>": ids.stop, "▁": ids.action_prefix}
    if sorted(specials.values()) != [0, 1, 2, 3]:
        raise ContractError(f"word tokenizer: expected special tokens at ids 0..3, found {specials}")
    vocabulary = dict(specials)
    vocabulary |= {f"<0x{byte:02X}>": _FIRST_BYTE + byte for byte in range(256)}
    words = sorted(counts, key=lambda word: (-counts[word], word))[:room]
    vocabulary |= {word: _FIRST_WORD + i for i, word in enumerate(words)}
    # no merges: a word is in the vocabulary whole, or falls back to its bytes
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, ignore_merges=True))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_WORD), "isolated"), pre_tokenizers.Split(Regex(r"\s+"), "removed")]
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in ("<pad>", "<s>", "</s>")])
    return PromptTokenizer(tokenizer, ids)
