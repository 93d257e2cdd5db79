"""`optimize` and `eval`: steps, the chain they form, and what they may ask."""
