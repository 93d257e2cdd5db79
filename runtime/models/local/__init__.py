"""Models out of checkpoints on this machine, which answer in this process, or in one that serves them.

What needs torch and transformers, `generating`, is imported when the first answer is asked for.
"""
