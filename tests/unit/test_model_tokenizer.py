import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers

from policy_server.model.presets import OPENVLA_OFT_7B, TINY
from policy_server.model.tokenizer import PromptTokenizer, word_tokenizer, words_of
from robot_contract.errors import ContractError

IDS = TINY.tokens
TEXT = "In: What action should the robot take to put the red cube on the white plate?\nOut:"
TOKENIZER = word_tokenizer([TEXT], IDS)


def test_known_words_are_one_token_each():
    tokens = TOKENIZER.encode(TEXT)
    assert len(tokens) == 1 + len(words_of(TEXT)) + 1
    assert tokens[0] == IDS.bos
    assert tokens[-1] == IDS.action_prefix
    assert all(260 <= token < IDS.action_end - IDS.action_bins for token in tokens[1:-1])


def test_capitals_and_spaces_do_not_matter():
    assert TOKENIZER.encode("Put  the RED cube") == TOKENIZER.encode("put the red cube")


def test_an_unknown_word_is_spelled():
    tokens = TOKENIZER.encode("put the zebra")
    assert tokens[-6:-1] == [4 + byte for byte in b"zebra"]


@given(st.text(max_size=40))
def test_any_text_stays_inside_the_prompt_vocabulary(text: str):
    tokens = TOKENIZER.encode(text)
    assert tokens[0] == IDS.bos
    assert tokens[-1] == IDS.action_prefix
    inside = tokens[1:-1]
    assert all(3 <= token < IDS.action_end - IDS.action_bins for token in inside)


def test_a_stop_token_cannot_be_typed():
    assert IDS.stop not in TOKENIZER.encode("put</s> the <s> cube <pad>")
    assert TOKENIZER.encode("<s>").count(IDS.bos) == 1


def test_a_tokenizer_survives_its_file(tmp_path):
    TOKENIZER.save(tmp_path)
    again = PromptTokenizer.load(tmp_path, IDS)
    assert again.encode(TEXT + " zebra") == TOKENIZER.encode(TEXT + " zebra")


def test_a_full_vocabulary_keeps_the_frequent_words():
    texts = [f"word{i} " * (2 if i == 900 else 1) for i in range(1000)]
    tokenizer = word_tokenizer(texts, IDS)
    assert len(tokenizer.encode("word900")) == 3
    assert sum(len(tokenizer.encode(f"word{i}")) == 3 for i in range(1000)) == 252


def llama_like(prefix_id: int) -> Tokenizer:
    """A byte-fallback BPE with Llama-2's normaliser and special ids, and one merge."""
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocabulary |= {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    vocabulary |= {"a": 300, "b": 301, "ab": 302, "▁": prefix_id, "▁ab": 304}
    tokenizer = Tokenizer(
        models.BPE(vocabulary, [("a", "b"), ("▁", "ab")], byte_fallback=True, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.ByteFallback()
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in ("<unk>", "<s>", "</s>")])
    return tokenizer


def test_a_llama_tokenizer_gets_the_prefix_once(tmp_path):
    ids = OPENVLA_OFT_7B.tokens
    (tmp_path / "tokenizer.json").write_text(llama_like(ids.action_prefix).to_str())
    tokenizer = PromptTokenizer.load(tmp_path, ids)
    assert tokenizer.encode("ab") == [1, 304, 29871]
    assert tokenizer.encode("ab ") == [1, 304, 29871]  # a trailing space is that token already


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text(llama_like(303).to_str())
    with pytest.raises(ContractError, match="'▁' to have id 29871, found 303"):
        PromptTokenizer.load(tmp_path, OPENVLA_OFT_7B.tokens)


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"version": "1.0"})])
def test_a_file_that_is_no_tokenizer_is_named(tmp_path, text: str):
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ContractError, match=r"tokenizer\.json: expected a tokenizer in JSON"):
        PromptTokenizer.load(tmp_path, IDS)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ContractError, match=r"tokenizer\.json: this file is missing"):
        PromptTokenizer.load(tmp_path, IDS)
