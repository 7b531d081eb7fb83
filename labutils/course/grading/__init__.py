"""Handed-in pages: the exercises of each are checked afresh, in a kernel of its own."""
