"""Every command and flag stands in the README as `--help` has it, and no document promises another."""

from __future__ import annotations

import re

import click
import pytest

from dask_validator.cli.commands import cli
from tests.documents.pages import ROOT, code, documents, page, rows, section

HEADING = "## Every command, every flag"
OF_CLICK = {"--help", "--version"}
# Flags in the documents' commands that are those of other programs.
OF_OTHERS = {
    "dask scheduler": {"--host", "--protocol"},
    "dask worker": {"--nworkers", "--nthreads"},
    "jupyter lab": {"--no-browser", "--port"},
    "make luck": {"--once"},
    "sbatch": {"--cpus-per-task", "--job-name", "--mem", "--signal", "--time"},
    "systemctl enable": {"--now"},
}
FLAG = re.compile(r"(?<![\w-])(?<!var\()--[a-z][a-z-]*[a-z]")  # not the variables of style sheets
REFERENCE = section(page("README.md"), HEADING)
COMMANDS, FLAGS = rows(REFERENCE, "command"), rows(REFERENCE, "flag")


def _options(command: str) -> dict[str, click.Option]:
    options = [option for option in cli.commands[command].params if isinstance(option, click.Option)]
    return {max(option.opts, key=len): option for option in options}


OPTIONS = {(command, flag): option for command in cli.commands for flag, option in _options(command).items()}


def _shown_default(command: str, option: click.Option) -> str:
    """The default as the help page shows it; nothing where it shows none."""
    _, help_text = option.get_help_record(click.Context(cli.commands[command], show_default=True)) or ("", "")
    found = re.search(r"\[(?:.*; )?default: \(?([^];]*?)\)?(?:;.*)?\]", help_text)
    return found[1] if found else ""


def _row(flag: str) -> dict[str, str]:
    return next((row for row in FLAGS if flag in re.split(r"[\s`,]+", row["flag"])), {})


def _commands_of(row: dict[str, str]) -> set[str]:
    return set(cli.commands) if row.get("of") == "all" else set(row.get("of", "").split())


def _plain(text: str) -> str:
    """Without the code marks, numbers as numbers: `0.60` and `0.6` are one default."""
    text = text.replace("`", "")
    return str(float(text)) if re.fullmatch(r"\d+(\.\d+)?", text) else text


def test_every_command_is_in_the_readme() -> None:
    """The table of commands has those that the program has."""
    documented = {code(row["command"])[0].split()[0] for row in COMMANDS}

    assert documented == set(cli.commands), f"mend the table of commands in README.md, '{HEADING}'"


@pytest.mark.parametrize("flag", sorted({flag for _, flag in OPTIONS}))
def test_every_flag_is_in_the_readme(flag: str) -> None:
    """The table of flags has each with its short form, the commands that take it, and its default."""
    takers = {command: option for (command, name), option in OPTIONS.items() if name == flag}
    row, defaults = _row(flag), [_shown_default(*taker) for taker in takers.items()]
    todo = f"README.md, '{HEADING}': | `{flag} ...` | {' '.join(takers)} | {defaults[0]} | what it does |"

    assert row, f"add to the table of flags in {todo}"
    assert set(re.findall(r"(?<![\w-])-[\w-]+", row["flag"])) == set(next(iter(takers.values())).opts), todo
    assert _commands_of(row) == set(takers), f"mend the column 'of' in {todo}"
    assert _plain(row["default"]) in map(_plain, defaults), f"mend the column 'default' in {todo}"
    unsaid = [
        value for value in defaults if _plain(value) != _plain(row["default"]) and value not in _plain(row["meaning"])
    ]
    assert unsaid == [], f"say the default of each command in {todo}"


def test_the_readme_has_no_flag_that_is_gone() -> None:
    """Each row of the table of flags is a flag of some command, once."""
    names = [name for row in FLAGS for name in FLAG.findall(row["flag"])]

    assert sorted(names) == sorted({flag for _, flag in OPTIONS}), f"mend the table of flags in README.md, '{HEADING}'"


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_help_lists_every_flag(command: str) -> None:
    """No flag is hidden, and each says what it does."""
    listed = cli.commands[command].get_help(click.Context(cli.commands[command]))

    assert [flag for flag, option in _options(command).items() if flag not in listed or not option.help] == []


def _strangers(texts: dict[str, str], known: set[str]) -> dict[str, list[str]]:
    found = {name: sorted(set(FLAG.findall(text)) - known) for name, text in texts.items()}
    return {name: flags for name, flags in found.items() if flags}


def test_no_document_names_a_flag_that_does_not_exist() -> None:
    """README, docs, changelog and notebooks name flags that the program, or another named here, has."""
    known = {flag for _, flag in OPTIONS}.union(OF_CLICK, *OF_OTHERS.values())

    assert _strangers(documents(), known) == {}


def test_no_message_names_a_flag_that_does_not_exist() -> None:
    """What an error line or a docstring tells to give can be given."""
    known = {flag for _, flag in OPTIONS} | OF_CLICK
    modules = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "dask_validator").rglob("*.py")}

    assert _strangers(modules, known) == {}


def test_every_flag_of_others_is_used() -> None:
    """The list of other programs' flags has none that no document uses."""
    used = {flag for text in documents().values() for flag in FLAG.findall(text)}

    assert set().union(*OF_OTHERS.values()) - used == set()
