"""What the pages of the report are opened with."""

from browser_kit import chromium, open_page, serve

__all__ = ["chromium", "open_page", "serve"]
