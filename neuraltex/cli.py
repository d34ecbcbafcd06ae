"""Command line: verb -> stage. The only file that prints an error and exits."""

import difflib
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from neuraltex import __version__
from neuraltex.core.errors import NeuralTexError, UsageError
from neuraltex.core.runtime import collect_rarely

VERBS = {
    "demo": "write the embedded demo scene, in any input format",
    "prepare": "read a scene, unwrap its mesh, render uv maps: everything a fit needs",
    "optimize": "fit a texture to a prepared scene",
    "compare": "score runs and foreign textured meshes on held-out photographs; HTML report",
    "export": "write the textured mesh as GLB, OBJ or PLY, or the texture as PNG or EXR",
    "texture": "prepare, optimize and export in one go: from a scene to a GLB",
    "train": "train a network for learned textures on a folder of avatars",
    "predict": "complete a partial texture with trained networks",
    "evaluate": "score trained networks beside plain fills on held-out subjects",
    "view": "look at a run in the browser",
    "make-avatars": "render training samples for learned textures from whole textures and bodies, or from a procedure",
    "partial": "extract the part of a texture that one photograph shows, with its mirror image",
    "doctor": "show versions and backends, what is missing and how to get it",
}


def main(arguments: list[str] | None = None) -> None:
    """Run one verb and exit: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    collect_rarely()
    _exit_with(lambda: _dispatch(sys.argv[1:] if arguments is None else arguments))


def run_script(function: Callable[..., Path], arguments: list[str] | None = None) -> None:
    """Run the function of a script in ``preprocessing/`` from its flags, print its path, and exit as a verb does."""

    def action() -> int:
        import tyro

        from neuraltex.core.runtime import configure_logging

        configure_logging()
        print(tyro.cli(function, args=arguments))
        return 0

    _exit_with(action)


def _exit_with(action: Callable[[], int]) -> None:
    try:
        code = action()
        sys.stdout.flush()
    except NeuralTexError as error:
        _print_error(error)
        code = error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"neuraltex {__version__}")
        return 0
    verb, flags = arguments[0], arguments[1:]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"Did you mean {near[0]!r}? " * bool(near) + f"Verbs: {', '.join(VERBS)}"
        raise UsageError(f"{verb!r} is not a verb", source="command line", hint=hint)
    stage = importlib.import_module(f"neuraltex.stages.{verb.replace('-', '_')}")
    return _run(stage, _parse(stage, verb, flags))


def _parse(stage: Any, verb: str, flags: list[str]) -> Any:
    """Build the stage's configuration: dataclass default < preset < flags."""
    import tyro

    default: dict[str, Any] = {}
    if hasattr(stage, "default_config"):
        names = getattr(stage, "DEFAULTS_FROM", ("--preset",))
        default["default"] = stage.default_config(*(_flag_value(flags, name) for name in names))
    return tyro.cli(
        stage.Config,
        prog=f"neuraltex {verb}",
        description=VERBS[verb][0].upper() + VERBS[verb][1:] + ".",
        args=flags,
        config=(tyro.conf.AvoidSubcommands,),
        **default,
    )


def _run(stage: Any, config: Any) -> int:
    from neuraltex.config.load import dump_yaml
    from neuraltex.core.runtime import configure_logging, is_main

    configure_logging(-1 if config.quiet else config.verbose)
    if config.dry_run:
        print(dump_yaml(config), end="")
        return 0
    result = stage.run(config)
    if is_main():
        _print_result(result, as_json=config.json)
    return result.exit_code


def _print_result(result: Any, *, as_json: bool) -> None:
    if as_json:
        path = {} if result.path is None else {"path": str(result.path)}
        print(json.dumps({**path, **result.data}, ensure_ascii=False))
        return
    for part in (result.text, result.path):
        if part:
            print(part)


def _flag_value(flags: list[str], name: str) -> str | None:
    """Find ``--name VALUE`` or ``--name=VALUE`` before the real parser runs; the last one wins."""
    value = None
    for index, flag in enumerate(flags):
        if flag.startswith(name + "="):
            value = flag.split("=", 1)[1]
        elif flag == name and index + 1 < len(flags):
            value = flags[index + 1]
    return value


def _overview() -> str:
    width = max(map(len, VERBS)) + 2
    lines = [f"  {verb:<{width}}{text}" for verb, text in VERBS.items()]
    return "\n".join(
        [
            "usage: neuraltex VERB [flags]      neuraltex VERB --help      neuraltex --version",
            "",
            "From posed photographs and a mesh to the best texture that can be had.",
            "",
            *lines,
            "",
            "Results go to stdout, log and progress to stderr.",
        ]
    )


def _print_error(error: NeuralTexError) -> None:
    red, plain = ("\033[31m", "\033[0m") if sys.stderr.isatty() else ("", "")
    print(f"{red}error:{plain} {error}", file=sys.stderr)
