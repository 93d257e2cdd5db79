"""Rows of a dataset, made when they are fetched."""


def rows():
    for number, text in enumerate(("a parcel", "an invoice", "größer\u2028than a line")):
        yield {"text": text, "size": number, "other": None}
