"""Captions in HTML and Markdown; their source is reStructuredText with code and emphasis only."""

import html
import re


def as_html(paragraph: str) -> str:
    """Return a paragraph of a caption in HTML.

    >>> as_html("*Costs* of ``nystrom`` < 1")
    '<em>Costs</em> of <code>nystrom</code> &lt; 1'
    """
    text = re.sub(r"``(.+?)``", r"<code>\1</code>", html.escape(paragraph))
    return re.sub(r"(?<![\w*])\*([^*]+)\*(?!\w)", r"<em>\1</em>", text)


def as_markdown(paragraph: str) -> str:
    """Return a paragraph of a caption in Markdown.

    >>> as_markdown("*Costs* of ``nystrom``")
    '*Costs* of `nystrom`'
    """
    return paragraph.replace("``", "`")
