"""Trains the weights of models on chats: what an optimizer that tunes weights asks for, and nothing of how it came by them."""
