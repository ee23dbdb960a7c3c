"""What mkdocs does not know of this repository: pages and files outside docs/, and the API pages.

The markdown is written for the repository, where its links lead to files. The site has the same
files: those of ``docs/`` at its top, every other one at its path in the repository.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
ROOMS = "networks", "objectives", "denoisers", "features", "metrics", "parsing", "export", "data"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replaces each folder in the navigation by its pages, so that a new page needs no entry."""
    config.nav = _expanded(config.nav, Path(config.docs_dir))
    return config


def _expanded(entry: object, docs: Path) -> object:
    if isinstance(entry, dict):
        return {title: _expanded(part, docs) for title, part in entry.items()}
    if isinstance(entry, list):
        parts = [_expanded(part, docs) for part in entry]
        return [one for part in parts for one in (part if isinstance(part, list) else [part])]
    if entry == "api/":
        return [name for name, _ in _api_pages()]
    if isinstance(entry, str) and entry.endswith("/"):
        pages = sorted((docs / entry).glob("*.md"), key=lambda page: (page.stem != "README", page))
        return [f"{entry}{page.name}" for page in pages]
    return entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages of the root, the API pages, and the files that pages link to."""
    for name in PAGES:
        files.append(_outside(name, config))
    for name, text in _api_pages():
        files.append(File.generated(config, name, content=text))
    for page in files.documentation_pages():
        for target in LINK.findall(page.content_string):
            path = _in_site(_in_repository(page.src_uri, target))
            if path not in files.src_uris and (ROOT / path).is_file():
                files.append(_outside(path, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links between files of the repository into links between files of the site."""
    here = PurePosixPath(page.file.src_uri).parent

    def moved(link: re.Match[str]) -> str:
        target = _in_site(_in_repository(page.file.src_uri, link[1]))
        return os.path.relpath(target, here)

    return LINK.sub(moved, markdown)


def _outside(name: str, config: MkDocsConfig) -> File:
    return File(name, str(ROOT), config.site_dir, config.use_directory_urls)


def _in_repository(page: str, target: str) -> str:
    folder = PurePosixPath("." if page in PAGES else "docs") / PurePosixPath(page).parent
    return os.path.normpath(folder / target)


def _in_site(path: str) -> str:
    return path.removeprefix("docs/")


def _api_pages() -> Iterator[tuple[str, str]]:
    yield "api/rlld.md", "# rlld\n\n::: rlld\n    options: { show_submodules: false }\n"
    for room in ROOMS:
        yield f"api/{room}.md", f"# rlld.{room}\n\n::: rlld.{room}\n"
