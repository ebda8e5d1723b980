"""Help that fits a screen, and the doctor."""

import re
import shlex
from argparse import Namespace

import pytest

import tiny
from subspace_illusion.cli import doctor
from subspace_illusion.cli.main import COMMANDS, about_command, parser
from subspace_illusion.errors import InputError

MOST_LINES, COLUMNS = 44, 100


@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_a_screen_and_has_one_example_that_is_understood(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    with pytest.raises(SystemExit):
        parser([command]).parse_args([command, "--help"])
    said = capsys.readouterr().out
    assert len(said.splitlines()) <= MOST_LINES
    assert max(map(len, said.splitlines())) <= COLUMNS + 20  # descriptions are as wide as the code
    (example,) = re.findall(r"^  (subspace-illusion .+)$", about_command(command), re.MULTILINE)
    assert parser([command]).parse_args(shlex.split(example)[1:]).run


def test_the_help_of_all_names_the_commands_and_how_to_begin(capsys):
    with pytest.raises(SystemExit):
        parser([]).parse_args(["--help"])
    said = capsys.readouterr().out
    assert all(f"    {command} " in said for command in COMMANDS)
    assert said.startswith("usage: subspace-illusion COMMAND ...")
    (example,) = re.findall(r"^  (subspace-illusion .+)$", said, re.MULTILINE)
    assert parser(["doctor"]).parse_args(shlex.split(example)[1:]).run


def test_the_doctor_says_what_is_here_and_that_a_model_will_do(tmp_path, capsys):
    tiny.write_folder(tmp_path)
    doctor.run(Namespace(model=str(tmp_path)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 10
    assert lines[0].startswith("subspace-illusion ")
    assert "fastest --dtype: " in lines[4]
    assert "blocks.2.mlp.hook_post, blocks.2.hook_mlp_out" in lines[-2]
    assert lines[-1].endswith("at most: this model will do")


def test_the_doctor_says_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(InputError, match=re.escape(str(tmp_path))):
        list(doctor.of_model(str(tmp_path)))
