"""Texts as words: equal texts equal words, whatever stands around them; different texts different words."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tocsin.kernel.texthash import LONGEST, text_words

TEXTS = st.text(alphabet="ab\x00é", max_size=LONGEST + 6) | st.sampled_from(
    ["", "\x00", "\x00" * 8, "a" * 7, "a" * 8, "a" * 9, "a" * LONGEST, "a" * (LONGEST + 1)]
)


@given(st.lists(TEXTS, min_size=1, max_size=20), st.data())
def test_a_word_says_which_text_it_is(texts, data):
    words = text_words(pa.array(texts, pa.string())).tolist()
    assert len(set(words)) == len(set(texts))
    assert len(set(zip(words, texts, strict=True))) == len(set(texts))
    start = data.draw(st.integers(0, len(texts)))
    assert text_words(pa.array(texts, pa.string()).slice(start)).tolist() == words[start:]
    assert [text_words(pa.array([text], pa.string()))[0] for text in texts] == words


def test_binary_counts_as_text_and_nothing_is_no_words():
    assert text_words(pa.array([b"\x01abc" * 3], pa.binary()))[0] == text_words(pa.array(["\x01abc" * 3], pa.string()))[0]
    assert text_words(pa.array([], pa.string())).tolist() == []


def test_a_hundred_thousand_ids_that_differ_in_little_have_different_words():
    ids = [f"sensor-{i // 1000:04d}/{i % 1000:03d}" for i in range(100_000)]
    words = text_words(pa.array(ids))
    assert np.unique(words).size == 100_000
    assert np.unique(words >> np.uint64(40)).size > 99_000  # the upper bits alone: 16 million values
    assert np.unique(words & np.uint64(0xFFFFFF)).size > 99_000  # and the lower ones
