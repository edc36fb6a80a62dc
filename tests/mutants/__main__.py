"""Print docs/mutants.md."""

from mutants.page import page

print(page(), end="")
