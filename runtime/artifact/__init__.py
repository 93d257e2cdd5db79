"""Artifacts: compiled programs as files, and what a program read from one must satisfy."""
