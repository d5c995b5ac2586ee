"""``settings``: every setting with default and meaning, and the values of an experiment."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import DATA_COMMANDS, AsJson, Overrides, print_json
from camray.domain.package_data import experiment_file

if TYPE_CHECKING:
    from camray.adapters.settings.reference import Setting

app = typer.Typer()
_WIDEST_DEFAULT = 40


@app.command("settings", rich_help_panel=DATA_COMMANDS)
def settings(
    config: Annotated[
        Path | None, typer.Argument(help="Experiment whose values are printed beside the defaults")
    ] = None,
    overrides: Overrides = None,
    section: Annotated[str, typer.Option(help="Print only this section, for instance train")] = "",
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the reference page as Markdown")] = False,
    as_json: AsJson = False,
) -> None:
    """List all settings with defaults and meaning; with an experiment, its values too.

    Example: [bold]camray settings configs/rsna.yaml train.max_epochs=3 --section train[/bold]
    """
    from camray.adapters.settings.loading import load_settings
    from camray.adapters.settings.reference import list_settings, value_of
    from camray.adapters.settings.schema import Settings
    from camray.domain.errors import SettingsError
    from camray.domain.suggestions import did_you_mean

    listed = [each for each in list_settings(Settings) if not section or each.name.split(".")[0] == section]
    if not listed:
        sections = dict.fromkeys(each.name.split(".")[0] for each in list_settings(Settings) if "." in each.name)
        near = did_you_mean(section, sections, "the sections are")
        raise SettingsError(f"--section {section}: no such section; {near}")
    plain = None if config is None else load_settings(experiment_file(config), overrides).model_dump(mode="json")
    values = {each.name: each.default if plain is None else value_of(plain, each) for each in listed}
    if as_json:
        print_json([{**each.__dict__, "value": values[each.name]} for each in listed])
    elif as_markdown:
        typer.echo(_markdown(listed), nl=False)
    else:
        _show(listed, values, plain is not None)


def _show(listed: "list[Setting]", values: dict[str, Any], with_values: bool) -> None:
    out = Console()
    for name, group in groupby(listed, _section):
        table = Table(box=SIMPLE, padding=(0, 1), pad_edge=False, title=f"[bold]{name}[/bold]", title_justify="left")
        columns = ("setting", "value", "meaning") if with_values else ("setting", "default", "meaning")
        for column in columns:
            table.add_column(column, overflow="fold")
        for each in group:
            value = values[each.name]
            text = escape(_yaml(value))
            if value != each.default:
                default = "" if each.required else f"  (default {escape(_yaml(each.default))})"
                text = f"[bold green]{text}[/bold green]{default}"
            table.add_row(each.name, text, escape(_meaning(each)))
        out.print(table)


def _markdown(listed: "list[Setting]") -> str:
    import yaml

    from camray.adapters.settings.default_recipe import DEFAULT_RECIPE
    from camray.adapters.settings.reference import section_meaning
    from camray.adapters.settings.schema import Settings

    lines = [
        "# Settings",
        "",
        "All settings, as `camray settings` prints them. An experiment's YAML has them by section; the command line",
        "changes them as in `train.max_epochs=3`. `camray settings configs/rsna.yaml` shows an experiment's values",
        "beside these defaults.",
        "",
        "An experiment that does not name `model.backbone` has these defaults instead, chosen for films of patients:",
        "",
        "```yaml",
        yaml.safe_dump({name: dict(values) for name, values in DEFAULT_RECIPE.items()}, sort_keys=False).strip(),
        "```",
    ]
    for name, group in groupby(listed, _section):
        about = section_meaning(Settings, name)
        lines += ["", f"## {name}", "", about, ""] if about else ["", f"## {name}", ""]
        lines += ["| setting | default | kind | meaning |", "|---|---|---|---|"]
        for each in group:
            default = "required" if each.required else f"`{_yaml(each.default)}`"
            cells = (f"`{each.name}`", default, each.kind, each.meaning)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _section(setting: "Setting") -> str:
    return setting.name.split(".")[0] if "." in setting.name else "experiment"


def _meaning(setting: "Setting") -> str:
    return ". ".join(part for part in (setting.meaning, setting.kind if "|" in setting.kind else "") if part)


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        text = "[" + ", ".join(_yaml(each) for each in value) + "]"
        return text if len(text) <= _WIDEST_DEFAULT else f"{text[: _WIDEST_DEFAULT - 4].rpartition(', ')[0]}, ...]"
    return str(value) if value != "" else "''"
