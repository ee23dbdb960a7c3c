"""The Hugging Face hub: names of repositories, their files in the cache, commits, and its refusals.

Nothing here knows what a run is. The package ``huggingface_hub`` does the talking: it keeps tokens,
caches by commit, resumes, and reads its settings from the environment (``HF_TOKEN``, ``HF_HOME``,
``HF_HUB_OFFLINE``, ``HF_ENDPOINT``).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rlld.errors import RlldError
from rlld.utils.console import ERR
from rlld.utils.extras import optional

PREFIX = "hub:"
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
REVISION = re.compile(r"[\w.-]+(?:/[\w.-]+)*", re.ASCII)
LIMIT = 4 << 30
"""Bytes of all files that are taken from a repository, at most."""
TEXT_LIMIT = 16 << 20
"""Bytes of a file that is read as a whole (JSON), at most."""
BOOKKEEPING = frozenset({".gitattributes", ".gitignore"})
"""Files of git, which a new repository may hold already."""
LOG_IN = "log in with 'hf auth login' or set HF_TOKEN"


@dataclass(frozen=True)
class Repository:
    """A repository of the hub.

    Attributes:
        name: ``owner/name``.
        revision: A branch, tag or commit; the head of the main branch when None.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{PREFIX}{self.name}" + (f"@{self.revision}" if self.revision else "")


def named(text: str) -> Repository:
    """Reads ``owner/name`` or ``owner/name@revision``, with or without ``hub:`` before it.

    Raises:
        RlldError: If it is no such name.
    """
    name, at, revision = text.removeprefix(PREFIX).partition("@")
    right = NAME.fullmatch(name) and "--" not in name and not name.endswith((".git", ".", "-"))
    if not right or ".." in name + revision or (at and not REVISION.fullmatch(revision)):
        raise RlldError(
            f"{text!r}: not the name of a repository of the hub; expected {PREFIX}owner/name or "
            f"{PREFIX}owner/name@revision, of letters, digits, '-', '_' and '.'"
        )
    return Repository(name, revision or None)


@dataclass(frozen=True)
class Contents:
    """What a repository holds.

    Attributes:
        commit: The commit, 40 hexadecimal digits.
        sizes: Bytes of its files by path.
        private: Whether only its owner sees it.
    """

    commit: str
    sizes: Mapping[str, int]
    private: bool

    @property
    def files(self) -> list[str]:
        """Its files, without git's own."""
        return sorted(set(self.sizes) - BOOKKEEPING)


def contents(repository: Repository) -> Contents | None:
    """Looks into a repository.

    Returns:
        What it holds; None where there is none that may be seen.

    Raises:
        RlldError: If the hub cannot be asked.
    """
    hub = _library()
    with told(repository):
        try:
            return _look(repository)
        except hub.errors.RepositoryNotFoundError as error:
            if isinstance(error, hub.errors.GatedRepoError):
                raise
            return None


def fetched(
    repository: Repository, first: str, others: Sequence[str], check: Callable[[Path], object]
) -> tuple[Path, str]:
    """Brings some files of a repository into the hub's cache, or finds them there.

    Without a network, or with ``HF_HUB_OFFLINE``, the copy in the cache is used; when that was not
    asked for, it is said.

    Args:
        repository: The repository.
        first: A file that it must have; fetched and checked before any other.
        others: Files that are fetched where it has them; no other file is.
        check: Called with the folder when ``first`` lies in it; raises when the rest is not wanted.

    Returns:
        The folder and the commit.

    Raises:
        RlldError: If there is no such repository, revision or file, it may not be read, it is too
            large, or the hub cannot be reached and the cache does not have it.
    """
    errors, names = _library().errors, (first, *others)
    with told(repository):
        try:
            found = _look(repository)
        except errors.OfflineModeIsEnabled:
            return _cached(repository, names, "HF_HUB_OFFLINE is set")
        except errors.HfHubHTTPError:
            raise
        except errors.HTTPError as error:
            why = f"{_api().endpoint} cannot be reached ({_reason(error)})"
            folder, commit = _cached(repository, names, why)
            ERR.print(f"{repository}: {why}; using commit {commit[:7]} of the cache")
            return folder, commit
    if first not in found.sizes:
        raise RlldError(
            f"{repository}: holds no run of rlld (there is no {first} among its "
            f"{len(found.files)} files); check the name"
        )
    wanted = [name for name in names if name in found.sizes]
    _require_small(repository, found, wanted)
    if not all(_is_cached(repository, found.commit, name) for name in wanted):
        total = sum(found.sizes[name] for name in wanted) / 1e6
        ERR.print(f"{repository}: {len(wanted)} files, {total:.1f} MB")
    check(_download(repository, found.commit, [first]))
    # By its own revision, so that the cache knows which commit that was.
    folder = _download(repository, repository.revision, wanted)
    if folder.name != found.commit:
        raise RlldError(f"{repository}: it was changed while it was fetched; try again")
    return folder, found.commit


def commit(
    repository: Repository,
    files: Mapping[str, Path | bytes],
    removed: Sequence[str],
    message: str,
    parent: str | None,
    *,
    private: bool,
) -> str:
    """Writes files into a repository in one commit.

    Args:
        repository: The repository.
        files: Where the contents lie, or the contents, by path in the repository.
        removed: Files of it that go.
        message: The first line of the commit.
        parent: The commit that is expected at its head; None makes the repository.
        private: Whether a repository that is made is private.

    Returns:
        The address of the commit.

    Raises:
        RlldError: If the hub refuses, or the repository was changed meanwhile.
    """
    hub = _library()
    if hub.get_token() is None:
        raise RlldError(f"{repository}: the hub needs a token that may write; {LOG_IN}")
    additions = [hub.CommitOperationAdd(name, data) for name, data in files.items()]
    deletions = [hub.CommitOperationDelete(name) for name in removed]
    with told(repository), _bars():
        api = _api()
        if parent is None:
            api.create_repo(repository.name, private=private or None)
        done = api.create_commit(
            repository.name,
            [*additions, *deletions],
            commit_message=message,
            parent_commit=parent,
        )
        return str(done.commit_url)


@contextmanager
def told(repository: Repository) -> Iterator[None]:
    """Turns what ``huggingface_hub`` raises within the block into one sentence.

    Raises:
        RlldError: Instead of its errors, of those of the network, and of the file system.
    """
    errors = _library().errors
    try:
        yield
    except errors.GatedRepoError:
        raise RlldError(
            f"{repository}: its owner grants access on request; ask for it on its page of the hub, "
            f"then {LOG_IN}"
        ) from None
    except errors.RepositoryNotFoundError:
        raise RlldError(
            f"{repository}: no such repository, or a private one that your token may not see; "
            f"check the name, or {LOG_IN}"
        ) from None
    except errors.RevisionNotFoundError:
        raise RlldError(
            f"{repository}: the repository has no such revision; give a branch, tag or commit of it"
        ) from None
    except errors.HfHubHTTPError as error:
        raise RlldError(f"{repository}: {_refusal(error)}") from None
    except errors.OfflineModeIsEnabled:
        raise RlldError(
            f"{repository}: HF_HUB_OFFLINE is set, so the hub is not asked; unset it"
        ) from None
    except (errors.HTTPError, OSError, RuntimeError, ValueError) as error:
        # Also what is raised when a download is cut, the disk is full, or no hub answers there.
        raise RlldError(
            f"{repository}: the exchange with {_api().endpoint} failed ({_reason(error)}); check "
            "network and disk, and try again"
        ) from None


def _refusal(error: Any) -> str:
    status = error.response.status_code
    said = f"the hub refused with status {status} ({error.server_message or _reason(error)})"
    if status in (401, 403):
        return f"{said}; {LOG_IN}, with a token that may do this"
    if status in (409, 412):
        return f"{said}; it was changed meanwhile or exists already, so look at it and try again"
    return f"{said}; try again later"


def _reason(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip()
    return " ".join(text.partition("\n")[0].split()) or type(error).__name__


def _library() -> Any:
    library = optional("huggingface_hub", "the hub")
    for part in ("errors", "utils"):
        optional(f"huggingface_hub.{part}", "the hub")
    return library


def _api() -> Any:
    return _library().HfApi(library_name="rlld", library_version=version("rlld"))


def _look(repository: Repository) -> Contents:
    info = _api().model_info(repository.name, revision=repository.revision, files_metadata=True)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or ()}
    return Contents(info.sha, sizes, bool(info.private))


def _require_small(repository: Repository, found: Contents, wanted: Sequence[str]) -> None:
    texts = [name for name in wanted if not name.endswith(".safetensors")]
    for names, limit in ((wanted, LIMIT), *(([name], TEXT_LIMIT) for name in texts)):
        total = sum(found.sizes[name] for name in names)
        if total > limit:
            raise RlldError(
                f"{repository}: {', '.join(names)} would take {total / 1e6:,.0f} MB, more than "
                f"the {limit / 1e6:,.0f} MB that a run may; fetch it by hand if you trust it"
            )


def _is_cached(repository: Repository, commit: str, name: str) -> bool:
    found = _library().try_to_load_from_cache(repository.name, name, revision=commit)
    return isinstance(found, str)


def _download(repository: Repository, revision: str | None, names: Sequence[str]) -> Path:
    with told(repository), _bars():
        return Path(
            _api().snapshot_download(repository.name, revision=revision, allow_patterns=list(names))
        )


@contextmanager
def _bars() -> Iterator[None]:
    """Leaves the library's progress bars to terminals."""
    utils = _library().utils
    if sys.stderr.isatty() or utils.are_progress_bars_disabled():
        yield
        return
    utils.disable_progress_bars()
    try:
        yield
    finally:
        utils.enable_progress_bars()


def _cached(repository: Repository, names: Sequence[str], why: str) -> tuple[Path, str]:
    try:
        folder = _api().snapshot_download(
            repository.name,
            revision=repository.revision,
            allow_patterns=list(names),
            local_files_only=True,
        )
    except FileNotFoundError:
        raise RlldError(
            f"{repository}: not in the cache, and {why}; fetch it once with a network"
        ) from None
    return Path(folder), Path(folder).name
