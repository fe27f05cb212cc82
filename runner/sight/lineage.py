"""Which commit has which in its history, among all that branches have and base has not, by one Git process."""

from collections.abc import Iterable

from runner import git


class Lineage:
    """The commits of `heads` that are not in the history of `base`, with their parents; read when first asked for."""

    def __init__(self, repo: git.Repo, base: str, heads: Iterable[str]) -> None:
        self._repo, self._base = repo, base
        self._heads = frozenset(heads) - {base}
        self._parents: dict[str, tuple[str, ...]] | None = None

    def holds(self, new: str, old: str) -> bool | None:
        """Whether `new` has `old` in its history; None where only Git can tell."""
        parents = self._read()
        if new == old:
            return True
        if old in parents:  # not in base, so that whatever has it is not in base either
            return self._reaches(new, old) if self._is_known(new) else None
        if new == self._base and old in self._heads:  # a head that base does not lack
            return True
        if old == self._base and self._is_known(new):  # the way to base leads over what base lacks
            return self._reaches(new, old)
        return None

    def _is_known(self, commit: str) -> bool:
        return commit in self._read() or commit == self._base or commit in self._heads

    def _reaches(self, new: str, old: str) -> bool:
        parents, queue, seen = self._read(), [new], {new}
        for commit in queue:  # grows while it is walked
            for parent in parents.get(commit, ()):
                if parent == old:
                    return True
                if parent not in seen:
                    seen.add(parent)
                    queue.append(parent)
        return False

    def _read(self) -> dict[str, tuple[str, ...]]:
        if self._parents is None:
            heads = sorted(self._heads)
            wanted = "".join(f"{head}\n" for head in heads) + f"^{self._base}\n"
            named = (*heads, self._base)
            out = git.git_once(self._repo, named, "rev-list", "--parents", "--stdin", stdin=wanted.encode())
            lines = (line.split(" ") for line in out.splitlines())
            self._parents = {commit: tuple(parents) for commit, *parents in lines}
        return self._parents
