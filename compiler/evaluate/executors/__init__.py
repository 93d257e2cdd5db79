"""Runs of programs in other processes: whoever asks, keeps and pays stays in this one."""
