"""What `many_hops.dspec` does between its calls: the loop that a program of the language cannot write."""


def forward(question: str, call) -> dict:
    """Searches until the model misses nothing more, and keeps every passage once, the newest first."""
    passages: list[str] = []
    for _ in range(3):
        hop = call("next_hop", question=question, passages=passages)
        if not hop["missing"]:
            break
        found = call("common.search", query=hop["query"])
        passages = list(dict.fromkeys(found + passages))[:6]
    return call("conclude", question=question, passages=passages)
