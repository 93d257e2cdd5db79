"""What the editor offers: pure functions of an analysis and an offset, no protocol types."""
