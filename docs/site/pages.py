"""Pages that mkdocs makes rather than reads: commands, public names, model cards.

A page of docs/ may hold two kinds of mark:

    <!-- table: corpora -->                  a table of tables.py
    <!-- take ACCURACY.md: make accuracy --> what stands between two such marks of another page,
                                             where a bench wrote it
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page
from reference import REFERENCE
from tables import ROOT, TABLES
from typer import Context
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import serein
from serein.cli import app

CARDS = sorted((ROOT / "src").rglob("CARD.md"))
CHINESE = r"[\u3000-\u9fff\uff00-\uffef]"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    pages = {"reference/commands.md": commands_page(), "reference/python.md": python_page()}
    pages["reference/modules.md"] = modules_page()
    pages |= {card_place(card): card.read_text(encoding="utf-8") for card in CARDS}
    for place, text in pages.items():
        files.append(File.generated(config, place, content=text))
    return files


def on_nav(nav: Navigation, config: MkDocsConfig, files: Files) -> Navigation:
    """Put the model cards at the end of the reference."""
    places = [files.get_file_from_path(card_place(card)) for card in CARDS]
    pages = [Page(file.src_path.split("/")[-1][:-3], file, config) for file in places if file]
    (reference,) = (item for item in nav.items if item.title == "Reference")
    section = Section("Model cards", pages)
    section.parent = reference
    reference.children.append(section)
    for page in pages:
        page.parent = section
    nav.pages.extend(pages)
    return nav


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put tables where the marks are; what is not on the site is named without a link."""
    text = re.sub(r"<!-- table: (\w+) -->", lambda found: TABLES[found[1]](), markdown)
    text = re.sub(r"<!-- take (\S+): (.+?) -->", lambda found: taken(*found.groups()), text)
    text = re.sub(f"(?<={CHINESE})\n(?={CHINESE})", "", text)  # a browser would show a space
    return re.sub(r"\[([^\]\n]+)\]\(\.\./[^)]+\)", r"\1", text)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Say which language a page is in."""
    chinese = page.file.src_uri.endswith(".zh.md")
    return output.replace('<html lang="en"', '<html lang="zh"', 1) if chinese else output


def taken(name: str, mark: str) -> str:
    """Return what stands between two marks of a page."""
    pieces = (ROOT / "docs" / name).read_text(encoding="utf-8").split(f"<!-- {mark} -->")
    if len(pieces) != 3:
        raise PluginError(f"{name} has {len(pieces) - 1} marks <!-- {mark} -->; 2 are needed")
    return pieces[1].strip()


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
