"""The tables of the language: blocks, words and judges."""
