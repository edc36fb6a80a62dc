"""The static half, as in lockdep: which class was ever held or needed before which, in any execution.

An edge from a lock class to a fence class: somebody held the lock while waiting for such a fence. From
a fence class to a lock class: whoever had to signal such a fence took the lock first. A circle is a
deadlock that only did not happen yet. Fences of two classes have no order: instances decide.
"""

from collections import deque

from syncline.kms_model.checker.graph import Edge


class LockClasses:
    def __init__(self) -> None:
        self._after: dict[str, dict[str, Edge]] = {}

    def add(self, before: str, after: str, edge: Edge) -> list[tuple[str, Edge]]:
        """Gives the circle that this closes, as classes with the edges that lead on; empty if none, or known."""
        edges = self._after.setdefault(before, {})
        if after in edges or before == after:
            return []
        edges[after] = edge
        return self._circle(before, after)

    def _circle(self, before: str, after: str) -> list[tuple[str, Edge]]:
        came: dict[str, str] = {after: before}
        queue = deque([after])
        while queue:
            name = queue.popleft()
            if name == before:
                return self._way(before, came)
            for target in self._after.get(name, ()):
                if target not in came:
                    came[target] = name
                    queue.append(target)
        return []

    def _way(self, end: str, came: dict[str, str]) -> list[tuple[str, Edge]]:
        way: list[tuple[str, Edge]] = []
        name = end
        while not way or name != end:
            way.append((came[name], self._after[came[name]][name]))
            name = came[name]
        return way[::-1]
