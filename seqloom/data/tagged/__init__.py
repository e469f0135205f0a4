"""Sentences whose tokens carry tags: their formats, read, checked, converted and written; the schemes of their tags."""
