"""A ``python`` and a ``dvc`` for the pipeline's tests that have imported the large libraries before they are asked for
anything.

The tests run some hundred stages, and each would import torch and transformer_lens for 4 to 9 seconds to compute for
one. A process that has them waits here and becomes the stage by ``fork``: with the folder, environment, arguments and
output that were asked for, and its exit status goes back. Only what any stage could import is there before, and nothing
of this project. DVC likewise; after every stage it reads and writes its lock file in a way that keeps comments, which
takes longer than the stage, and there are none.
"""

import atexit
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import TextIO

LARGE = (
    "pandas", "pyarrow.parquet", "pydantic", "scipy.stats", "sklearn.linear_model", "torch", "transformers",
    "transformer_lens.model_bridge", "jinja2", "matplotlib.pyplot",
)  # fmt: skip
DVC = ("dvc.cli.parser", "dvc.repo.experiments", "dvc.repo.reproduce", "dvc.stage.cache", "ruamel.yaml")
ORDER = 1 << 20
"""Bytes that a command with its environment may take."""


def warm_programs(folder: Path, env: dict[str, str]) -> Path:
    """Starts the process that waits, until this one ends, and gives the folder of programs to put before ``PATH``.

    Args:
        folder: An empty folder.
        env: The environment that the libraries are imported in; stages may have another.
    """
    address = folder / "socket"
    waiting = subprocess.Popen([sys.executable, __file__, "wait", str(address)], env=env)
    atexit.register(waiting.kill)
    (folder / "bin").mkdir()
    asks = f'exec "{sys.executable}" -IS "{__file__}" ask "{address}"'
    for name, script in {"python": "", "dvc": f'"{Path(sys.executable).with_name("dvc")}"'}.items():
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\n{asks} {script} "$@"\n')
        program.chmod(0o755)
    while not address.exists():
        assert waiting.poll() is None
        time.sleep(0.05)
    return folder / "bin"


def ask(address: str, *arguments: str) -> int:
    """Has the process that waits become ``python *arguments`` here, and gives its exit status."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        order = dict(arguments=arguments, folder=str(Path.cwd()), env=dict(os.environ))
        socket.send_fds(connection, [json.dumps(order).encode()], [1, 2])
        return int(connection.recv(8))


def wait(address: str) -> None:
    """Becomes every command that is asked for; returns in the processes that do."""
    for name in (*LARGE, *DVC):
        importlib.import_module(name)
    keep_no_comments()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one asks how a watcher ended
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{address}.made")
        server.listen()
        os.rename(f"{address}.made", address)  # noqa: PTH104  a socket, which is there once it listens
        while True:
            connection, _ = server.accept()
            if not os.fork():
                break
            connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order, outputs, *_ = socket.recv_fds(connection, ORDER, 2)
    child = os.fork()
    if child:
        connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])).encode())
        os._exit(0)
    connection.close()
    become(outputs=outputs, **json.loads(order))


def keep_no_comments() -> None:
    """Has DVC read and write its lock file by libyaml."""
    from dvc.utils.serialize import _yaml
    from ruamel.yaml import YAML
    from ruamel.yaml.representer import SafeRepresenter

    SafeRepresenter.add_representer(OrderedDict, SafeRepresenter.represent_dict)

    def dump(data: dict, stream: TextIO) -> None:
        yaml = YAML(typ="safe")
        yaml.default_flow_style = False
        yaml.dump(data, stream)

    _yaml.parse_yaml_for_update, _yaml._dump = _yaml.parse_yaml, dump


def become(arguments: list[str], folder: str, env: dict[str, str], outputs: list[int]) -> None:
    """Runs a script as ``python`` would."""
    for place, output in enumerate(outputs, start=1):
        os.dup2(output, place)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = arguments
    sys.path[0] = str(Path(arguments[0]).parent.absolute())
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    sys.exit({"ask": ask, "wait": wait}[sys.argv[1]](*sys.argv[2:]))
