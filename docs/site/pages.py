"""Pages that mkdocs makes rather than reads: references, model cards, full results.

The mark `<!-- table: corpora -->` on a page of docs/ is a table of tables.py.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page
from reference import REFERENCE
from settings import http_page, recipe_page
from tables import ROOT, TABLES
from typer import Context
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import serein
from serein.cli import app

CARDS = sorted((ROOT / "src").rglob("CARD.md"))
RESULTS = sorted((ROOT / "results").glob("*.md"))
CHINESE = r"[\u3000-\u9fff\uff00-\uffef]"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    pages = {"reference/commands.md": commands_page(), "reference/python.md": python_page()}
    pages["reference/modules.md"] = modules_page()
    pages |= {"reference/recipe.md": recipe_page(), "reference/http.md": http_page()}
    for file, place in placed():
        pages[place] = file.read_text(encoding="utf-8")
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Put the model cards and the full results at the end of the reference."""
    (reference,) = (item for item in nav.items if item.title == "Reference")
    for title, folder in (("Model cards", "cards"), ("Full results", "results")):
        places = [place for _, place in placed() if place.startswith(folder)]
        found = [files.get_file_from_path(place) for place in places]
        pages = [Page(None, file, config) for file in found if file]
        section = Section(title, pages)
        section.parent = reference
        reference.children.append(section)
        for page in pages:
            page.parent = section
        nav.pages.extend(pages)
    return nav


def placed() -> list[tuple[Path, str]]:
    """Return the files outside docs/ that are pages, each with its place on the site."""
    cards = [(card, card_place(card)) for card in CARDS]
    return cards + [(file, f"results/{file.name}") for file in RESULTS]


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put tables where the marks are; what is not on the site is named without a link."""
    text = re.sub(r"<!-- table: (\w+) -->", lambda found: TABLES[found[1]](), markdown)
    text = re.sub(r"\]\(\.\./(?:docs/|(?=results/\w+\.md))", up_to_docs(page), text)
    text = re.sub(f"(?<={CHINESE})\n(?={CHINESE})", "", text)  # a browser would show a space
    return re.sub(r"\[([^\]\n]+)\]\(\.\./(?!\w+\.md)[^)]+\)", r"\1", text)


def up_to_docs(page: Page) -> str:
    """Return the start of a link from a page to one of docs/."""
    return "](" + "../" * page.file.src_uri.count("/")


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Say which language a page is in."""
    chinese = page.file.src_uri.endswith(".zh.md")
    return output.replace('<html lang="en"', '<html lang="zh"', 1) if chinese else output


def card_place(card: Path) -> str:
    """Return where a model's card stands on the site."""
    return f"cards/{card.parent.name}.md"


def commands_page() -> str:
    """Return what `--help` says of every command, as one page."""
    group = get_command(app)
    lines = ["# Commands", "", "What `serein COMMAND --help` says.", ""]
    for command, context in leaves(group, Context(group, info_name="serein")):
        lines += described(command, context)
    return "\n".join(lines)


def leaves(group: TyperGroup, context: Context) -> list[tuple[TyperCommand, Context]]:
    """Return every command that does something, each with its context."""
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        inside = Context(command, info_name=name, parent=context)
        many = isinstance(command, TyperGroup)
        found += leaves(command, inside) if many else [(command, inside)]
    return found


def described(command: TyperCommand, context: Context) -> list[str]:
    """Return the section of a command."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [param.get_help_record(context) for param in command.get_params(context)]
    rows = [f"| `{record[0]}` | {cell(record[1])} |" for record in records if record]
    parts = [f"## {context.command_path}", f"```text\n{usage}\n```", (command.help or "").strip()]
    return ["\n\n".join(parts), "", "| | |", "|---|---|", *rows, ""]


def cell(text: str) -> str:
    """Return a text fit for a table."""
    return text.replace("\n", " ").replace("|", "\\|").replace("<", "&lt;")


def python_page() -> str:
    """Return the page of public names, which mkdocstrings fills in."""
    lines = ["# Python", "", "The front door: `import serein`.", ""]
    lines += [f"::: serein.{name}\n" for name in serein.__all__]
    for section, modules in REFERENCE.items():
        lines += [f"## {section}", ""]
        for module, names in modules.items():
            lines += [
                f"::: {module}.{name}\n    options:\n      heading_level: 3\n" for name in names
            ]
    return "\n".join(lines)


def modules_page() -> str:
    """Return the page that lists every public name of every module."""
    package = ROOT / "src/serein"
    lines = ["# Modules", "", "Every public name, with what its docstring says first.", ""]
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package.parent).with_suffix("").as_posix().replace("/", ".")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = [line for node in tree.body for line in listed(node)]
        if names:
            lines += [f"## {place}", "", first_line(tree), "", *names, ""]
    return "\n".join(lines)


def listed(node: ast.stmt) -> list[str]:
    """Return the line of a public class or function; none for all else."""
    if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or node.name.startswith("_"):
        return []
    arguments = f"({ast.unparse(node.args)})" if isinstance(node, ast.FunctionDef) else ""
    return [f"- `{node.name}{arguments}`: {first_line(node)}"]


def first_line(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    """Return the first line of a docstring, fit for Markdown."""
    return (ast.get_docstring(node) or "").split("\n")[0].replace("<", "&lt;")
