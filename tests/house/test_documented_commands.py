"""Commands, options, settings and file names in the documentation exist as they are written there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from pydantic import BaseModel

from camray.adapters.settings.loading import config_path, load_settings
from camray.adapters.settings.schema import Settings
from camray.commands.app import app

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "data_manifests/README.md")),
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("configs/*.yaml"),
        *ROOT.glob("data_manifests/*/manifest.yaml"),
    ]
}
MODULES = {path: path.read_text(encoding="utf-8") for path in ROOT.glob("pipeline/camray/*/**/*.py")}
FENCE = re.compile(r"^ *```\w*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
FOLDERS = "pipeline|tests|docs|configs|data_manifests|docker|benchmarks"
SECTIONS = "data|ingest|model|train|explain|localize|score|export|track|compare"
ENDINGS = (".py", ".csv", ".onnx", ".safetensors")
INCOMPLETE = ("MissingParameter", "BadOptionUsage")  # an argument, or an option's value, is missing


def _lines(text: str) -> list[str]:
    """Return the command lines of code blocks, and those after `# Command` in a configuration."""
    blocks = "\n".join(FENCE.findall(text)).replace("\\\n", " ")
    lines = re.findall(r"^ *(?:camray|.*-m camray) (.*)", blocks, re.MULTILINE)
    return [line for line in lines if "[OPTIONS]" not in line] + re.findall(r"^# Command +camray (.*)", text, re.M)


def _code(text: str) -> list[str]:
    """Return the code within sentences."""
    return re.findall(r"`+([^`\n]+)`", FENCE.sub("", text))


def _words(line: str) -> list[str]:
    try:
        return [word for word in shlex.split(line, comments=True) if "..." not in word]
    except ValueError:  # a quotation mark alone: no command
        return []


def _parse(line: str) -> str:
    """Parse a command line as the program does, without running it; return the name of the error, or nothing."""
    args = _words(line)
    command: Any = typer.main.get_command(app)
    while args and hasattr(command, "commands"):
        # `camray review RUN` is `camray review build RUN`
        name = args.pop(0) if args[0] in command.commands or command.name != "review" else "build"
        if name not in command.commands:
            return f"camray {line}: no such command"
        command = command.commands[name]
    try:
        if not hasattr(command, "commands"):
            command.make_context(command.name, args)
    except Exception as error:  # noqa: BLE001  click's, which Typer brings in its own copy
        return f"{type(error).__name__}: camray {line}: {error}"
    return ""


@pytest.mark.parametrize("page", TEXTS)
def test_command_lines_can_be_given_as_they_are_written(page: str) -> None:
    assert [fault for line in _lines(TEXTS[page]) if (fault := _parse(line))] == []


@pytest.mark.parametrize("page", TEXTS)
def test_commands_and_options_in_sentences_exist(page: str) -> None:
    options = {option for command in _all_commands(typer.main.get_command(app)) for option in command}
    for code in _code(TEXTS[page]):
        if code.startswith("camray ") and not code.startswith(("camray -", "camray COMMAND")):
            fault = _parse(code.removeprefix("camray "))
            assert not fault or fault.startswith(INCOMPLETE), fault
        if code.startswith("--"):
            assert re.split(r"[ =]", code)[0] in options, code


def _all_commands(command: Any) -> Iterator[list[str]]:
    yield ["--help", "--version"]
    for part in getattr(command, "commands", {}).values():
        yield from _all_commands(part)
    yield [option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]]


def test_examples_of_modules_can_be_given() -> None:
    lines = [line for text in MODULES.values() for line in re.findall(r"^Run +``camray ([^`]*)``", text, re.MULTILINE)]
    assert len(lines) >= 20
    assert [fault for line in lines if (fault := _parse(line))] == []


@pytest.mark.parametrize("page", TEXTS)
def test_settings_exist(page: str) -> None:
    for name in re.findall(rf"(?<![\w./-])((?:{SECTIONS})(?:\.[a-z_]+)+)\b(?![./(])", " ".join(_code(TEXTS[page]))):
        assert name.endswith(ENDINGS) or _is_setting(Settings, name.split(".")), name


def _is_setting(kind: Any, parts: list[str]) -> bool:
    if not parts:
        return True
    models = [part for part in (kind, *get_args(kind)) if isinstance(part, type) and issubclass(part, BaseModel)]
    fields = [model.model_fields[parts[0]] for model in models if parts[0] in model.model_fields]
    return any(_is_setting(field.annotation, parts[1:]) for field in fields)


@pytest.mark.parametrize("page", TEXTS)
def test_values_of_settings_are_legal(page: str) -> None:
    words = [word for line in [*_lines(TEXTS[page]), *_code(TEXTS[page])] for word in _words(line)]
    for word in words:
        if re.fullmatch(rf"(?:name|seed|device|(?:{SECTIONS})\.[a-z_.]+)=[^=]+", word):
            load_settings(config_path("phantom"), [word])


@pytest.mark.parametrize("page", TEXTS)
def test_files_exist(page: str) -> None:
    for name in re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./*-]*)", " ".join(_code(TEXTS[page]))):
        assert any(ROOT.glob(name)), name


def test_targets_and_modules_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    text = "\n".join(TEXTS.values())
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= set(targets)
    for module in re.findall(r"python -m (benchmarks\.\w+)", text):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file(), module
