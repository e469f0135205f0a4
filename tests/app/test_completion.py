"""The scripts of ``seqloom completion``, each asked by its own shell where that is installed."""

import shutil
import subprocess
import sys

import pytest

from seqloom.app.main import VERBS, main

BASH = """
source "$1"
shift
COMP_LINE="$*" COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function_of=$(complete -p seqloom | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function_of seqloom "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""

# What is typed -> some of what is offered, and something that is not.
OFFERS = {
    "seqloom tr": ({"train"}, "predict"),
    "seqloom train n": ({"ner", "ner-paper"}, "segment"),
    "seqloom train mine.y": ({"mine.yaml"}, "ner"),
    "seqloom train ner --data.tr": ({"--data.train"}, "--data.dev"),
    "seqloom train ner --model.spelling ": ({"lstm", "cnn"}, "gru"),
    "seqloom evaluate --er": ({"--errors"}, "--json"),
    "seqloom predict RUN/model --nb": ({"--nbest"}, "--format"),
    "seqloom completion ": ({"bash", "zsh", "fish"}, "tcsh"),
}


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")

    def write(shell):
        path = folder / f"completion.{shell}"
        if not path.exists():
            command = [sys.executable, "-m", "seqloom", "completion", shell]
            path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
        return path

    return write


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_knows_every_verb(shell, capsys):
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    for known in (*VERBS, "data.train", "print_config", "ner-characters"):
        assert known in printed
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=printed, text=True, check=True)


def test_another_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "SHELL: 'tcsh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.mark.parametrize("line", OFFERS)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_offers_what_fits(shell, line, script, tmp_path):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "mine.yaml").write_text("", encoding="utf-8")
    if shell == "bash":
        command = ["bash", "-c", BASH, "bash", str(script(shell)), *line.split(" ")]
    else:
        command = ["fish", "--no-config", "-c", f"source {script(shell)}; complete -C {line!r}"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path).stdout
    offered = {row.split("\t")[0] for row in printed.splitlines()}
    expected, absent = OFFERS[line]
    assert expected <= offered
    assert absent not in offered
