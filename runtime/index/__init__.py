"""Indexes: which of many rows are most like a text, or like a vector, exactly and off the event loop.

Three kinds, each in a file of its own. Those files import numpy when they are imported, so import them inside the
function that searches:

    from dspec.runtime.index.ngrams import NgramIndex    # cosine of words, pairs and n-grams: KNNFewShot's neighbours
    from dspec.runtime.index.bm25 import WordIndex       # BM25: the `bm25` source
    from dspec.runtime.index.vectors import VectorIndex  # cosine of embeddings: the `embeddings` source

    WordIndex.kept(texts).search(text, k)        -> [(row, score), …], the best first; also `NgramIndex`
    WordIndex.build(texts)                       # the same in memory alone
    VectorIndex.build(vectors).search(vector, k) -> [(row, cosine), …]
    VectorIndex.kept(key, make)                  # `make()` gives the vectors, and is asked only where none are kept
    VectorIndex.opened(key)                      # what is kept for the key, or None: nothing is made
    keeping.key_of(kind, *texts)                 # the digest of everything that an index depends on

Scores are compared to nine decimals and earlier rows win ties, so that every machine finds the same rows. A row
that has nothing in common with the text is no result of BM25; the other two always give `k` rows where there are as
many. All of them are safe to search from several threads at once; call them through `asyncio.to_thread`, for
making one takes seconds and searching milliseconds. `MAX_ROWS` of `limits` is the most that an index takes: `build`,
`kept` raise ValueError for more.

What is kept lies in the user's cache (`DSPEC_INDEX_DIR` moves it), one file each, found by the digest of the rows.
A file is checked by its checksum when it is opened, made again when it is damaged, and removed when the folder is full.
"""
