"""A call loads the command that it names and no other, and says the same as the whole command line would."""

import subprocess
import sys

import pytest
import typer

from gateway.cli.main import COMMANDS, GROUPS, command_line, hoisted, named

WORDS = [*COMMANDS, *GROUPS]


def _names(app):
    return list(typer.main.get_command(app).commands)


def test_the_whole_command_line_is_what_the_tables_say():
    assert _names(command_line()) == WORDS


@pytest.mark.parametrize("word", WORDS)
def test_a_command_alone_has_what_it_has_in_the_whole(word):
    alone, whole = (
        typer.main.get_command(app).commands[word] for app in (command_line([word]), command_line())
    )
    assert [p.name for p in alone.params] == [p.name for p in whole.params]
    assert list(getattr(alone, "commands", ())) == list(getattr(whole, "commands", ()))


@pytest.mark.parametrize(("word", "other"), [("case", "forget"), ("audit", "check-certificate")])
def test_a_group_alone_has_what_other_modules_add_to_it(word, other):
    # In a process of its own: here all modules are loaded already, and with them what they add to one another.
    code = f"from gateway.cli.main import command_line; import typer; print(list(typer.main.get_command(command_line([{word!r}])).commands[{word!r}].commands))"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert repr(other) in said.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["dicom"], ["dicom"]),
        (["case", "show", "X"], ["case"]),
        (["case", "--home", "h", "--json"], ["case"]),
        (["--home=h", "audit"], ["audit"]),
        (["--home", "up", "store", "show"], ["store"]),
        (["--help"], None),
        (["--version"], None),
        (["nonsense"], None),
        ([], None),
    ],
)  # fmt: skip
def test_which_command_a_call_names(arguments, word):
    assert named(hoisted(arguments)) == word


def test_a_node_starts_without_the_commands_of_others():
    code = (
        "import sys; from gateway.cli.main import command_line; command_line(['dicom']);"
        "print([m for m in sys.modules if m.startswith(('gateway.cli.backup', 'gateway.cli.cases', 'anonymizer.', 'fastapi', 'PIL'))])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.strip() == "[]"
