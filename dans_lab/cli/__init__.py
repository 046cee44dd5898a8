"""What the commands share: one application, and a person's mistake told in one line.

Nothing here imports torch, so that `--help` answers at once; the commands import it when they run.
"""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from dans_data.errors import InputError
from dans_data.faults import BadLinesError
from dans_lab.cli import app as app_command
from dans_lab.cli import data, doctor, export, look, predict, report, runs, serve, study, train
from dans_lab.cli.output import line_by_line

app = typer.Typer(
    name="python -m dans_core",
    help="Train and inspect knowledge-graph embeddings with DANS, an adversarial sampler of negatives.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(app_command.app)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve.serve)
app.command("access-code")(serve.access_code)
app.command()(train.train)
app.command()(look.evaluate)
app.command()(look.inspect)
app.command()(predict.predict)
app.command()(data.datasets)
app.command()(export.export)
app.command()(runs.runs)
app.command()(report.report)
app.command()(study.study)
app.command()(doctor.doctor)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code: 0 done, 1 a run that failed, 2 a mistake in what was asked, 130 interrupted."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = app(given, standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except BadLinesError as error:
        print("error:", "\n".join(line_by_line(error)), file=sys.stderr)
        return 2
    except InputError as error:
        return _say(str(error), 2)
    except TyperException as error:
        if not given:
            # Typer's message is the whole help then.
            print(error.format_message(), file=sys.stderr)
            return 2
        message = error.format_message().rstrip(".")
        return _say(f"{message}{' ' if message.endswith('?') else '; '}see --help for what can be given", 2)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # Who read our output has gone; Python would complain once more when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _say(f"{place}{error.strerror or error}", 1)


def _say(message: str, code: int) -> int:
    # An error of ours cuts what it quotes.
    print("error:", InputError(" ".join(message.split())), file=sys.stderr)
    return code
