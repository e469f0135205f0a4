from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from seqloom.systems.tagger.segmentation.pieces import PieceStream, fold_width, pieces

texts = st.text(alphabet=st.sampled_from('中国ab。！？；”）" \n\t　，、：\x1c'), max_size=80) | st.text(max_size=60)


@given(texts, st.integers(1, 12))
@settings(deadline=None)
def test_pieces_cover_exactly_what_is_not_whitespace(text, maximum_length):
    spans = pieces(text, maximum_length)
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())
    assert all(0 < end - start <= maximum_length for start, end in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))


@given(texts, st.lists(st.integers(0, 80), max_size=8), st.integers(1, 12))
@settings(deadline=None)
def test_a_stream_of_chunks_gives_the_pieces_of_the_whole_text(text, cuts, maximum_length):
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    stream = PieceStream(maximum_length)
    streamed = [piece for a, b in pairwise(borders) for piece in stream.push(text[a:b])]
    streamed += stream.close()
    assert streamed == [text[start:end] for start, end in pieces(text, maximum_length)]


def test_a_sentence_keeps_its_closing_quote_and_long_sentences_are_cut_at_commas():
    assert _split("他说：“好！”然后走了。") == ["他说：“好！”", "然后走了。"]
    assert _split("一二三，四五六七八九", 5) == ["一二三，", "四五六七八", "九"]


def _split(text, maximum_length=200):
    return [text[start:end] for start, end in pieces(text, maximum_length)]


@given(st.text())
def test_folding_keeps_every_length(text):
    assert len(fold_width(text)) == len(text)
