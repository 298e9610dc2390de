"""The flags, one click option each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from dask_validator.config import DEFAULT_WF_OUTPUT, FDR_METHODS, GATES_OF_ALL, RunConfig, choices_of
from dask_validator.store.selection import CHOICES

UNTIL_INTERRUPT = float("inf")
DATE = "DATE"
ONE_AT_A_TIME = {"instrument", "gate", "fdr_instruments", "fdr_group_by", "touch_entry_models"}


class ListFlags(click.Command):
    """Lets `--exclude-years 2020 2021` stand for the flag given twice, which is all that click knows."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, each list spelled out."""
        for param in self.params:
            if isinstance(param, click.Option) and param.multiple and param.name not in ONE_AT_A_TIME:
                args = _repeat_flag(param.opts[0], args, _test_of(param))
        return super().parse_args(ctx, args)


def _test_of(param: click.Option) -> Callable[[str], bool]:
    """Whether an argument can be one more value of the flag."""
    if isinstance(param.type, click.Choice):
        return param.type.choices.__contains__
    if (param.metavar or "").startswith(DATE):
        return _is_day
    return _is_pair if param.name == "columns" else _is_number


def _is_number(arg: str) -> bool:
    return re.fullmatch(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?", arg) is not None


def _is_day(arg: str) -> bool:
    return re.fullmatch(r"[0-9]+-[0-9]+-[0-9]+", arg) is not None


def _is_pair(arg: str) -> bool:
    return "=" in arg and not arg.startswith("-")


def _repeat_flag(name: str, args: list[str], belongs: Callable[[str], bool]) -> list[str]:
    repeated: list[str] = []
    in_list = False
    for arg in args:
        if in_list and belongs(arg) and repeated[-1] != name:
            repeated.append(name)
        in_list = arg == name or (in_list and belongs(arg))
        repeated.append(arg)
    return repeated


db = click.option(
    "--db",
    type=click.Path(path_type=Path),
    envvar="DASK_VALIDATOR_DB",
    default="gold.db",
    show_default="$DASK_VALIDATOR_DB, else gold.db",
    help="The DuckDB file.",
)


def _only_one(ctx: click.Context, param: click.Parameter, symbols: tuple[str, ...]) -> str:
    """Click would let the last one win, and a run of the first never happen."""
    if len(symbols) > 1:
        raise click.UsageError(f"--instrument got {' and '.join(symbols)}; needed one: give each its own command")
    return symbols[0]


instrument = click.option(
    "--instrument",
    multiple=True,
    callback=_only_one,
    default=["MGC"],
    show_default="MGC",
    metavar="SYM",
    help="Symbol to validate.",
)


def _selection(default: str) -> list[Callable[..., Any]]:
    return [
        click.option(
            "--strategies",
            "which",
            type=click.Choice(CHOICES),
            default=default,
            help="Which to validate, those judged before once more.",
        ),
        click.option(
            "--ids",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Which to validate, one strategy_id a line, whatever their status.",
        ),
    ]


any_instrument = click.option("--instrument", metavar="SYM", help="Only runs of this symbol.")
instruments_of_run = click.option(
    "--instrument",
    multiple=True,
    default=["MGC"],
    show_default="MGC",
    metavar="SYM",
    help="Symbol to validate; may be repeated.",
)
all_instruments = click.option(
    "--all-instruments", is_flag=True, help="Validate every symbol of the database, one after the other."
)
instrument_of_import = click.option(
    "--instrument", required=True, metavar="NAME", help="What to validate these strategies as."
)
rules_file = click.option(
    "--rules", "rules_file", metavar="FILE|NAME", help="A TOML file of rules, or a profile; flags win over it."
)
instruments = click.option(
    "--instruments", type=click.Path(path_type=Path), metavar="TOML", help="Costs of further symbols."
)


strict_filters = click.option(
    "--strict-filters", is_flag=True, help="Apply five more filters, fail strategies with unknown ones."
)


def _rule(name: str, kind: type, help: str, **more: Any) -> Callable[..., Any]:
    """A flag whose default is that of the RunConfig field."""
    default = getattr(RunConfig(), field_of(name))
    return click.option(name, type=kind, default=default, help=help, **more)


def _several(name: str, kind: Any, help: str, metavar: str = "X") -> Callable[..., Any]:
    """The same flag where each value given is a setting of its own."""
    default = getattr(RunConfig(), field_of(name))
    return click.option(
        name,
        type=kind,
        multiple=True,
        metavar=f"{metavar} [{metavar} ...]",
        help=help,
        show_default=None if default is None else str(default),
    )


def _choices(field_name: str) -> click.Choice[str]:
    """What the RunConfig field admits."""
    kind = next(str(field.type) for field in fields(RunConfig) if field.name == field_name)
    return click.Choice(choices_of(kind))


def field_of(flag: str) -> str:
    """The field of RunConfig that a flag is about."""
    return flag.removeprefix("--").replace("-", "_")


wf_output = click.option(
    "--wf-output",
    type=click.Path(path_type=Path),
    default=DEFAULT_WF_OUTPUT,
    help="The JSONL that walk-forward results are appended to.",
)


def _numbers(rule: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The flags that verdicts depend on."""
    return [
        rule("--min-sample", int, "Phase 1: trades needed."),
        rule("--stress-multiplier", float, "Phase 4: factor on the costs of a round trip."),
        rule("--min-sharpe", float, "Phase 5: smallest Sharpe ratio; off unless given."),
        rule("--max-drawdown", float, "Phase 5: largest drawdown in R; off unless given."),
        rule("--min-win-rate", float, "Phase 5: smallest share of winning trades, 0-1; off unless given."),
        _rule("--exclude-years", int, "Phase 3: years left out.", multiple=True, metavar="Y [Y ...]"),
        rule("--min-years-positive-pct", float, "Phase 3 without waivers: share of positive years, 0-1."),
        rule("--min-trades-per-year", int, "Phase 3: years with fewer trades are left out."),
        click.option("--no-regime-waivers", is_flag=True, help="Phase 3: waive no year for low volatility."),
        click.option("--no-walkforward", is_flag=True, help="Leave out phase 6."),
        rule("--wf-test-months", int, "Phase 6: months of a test window."),
        rule("--wf-min-train-months", int, "Phase 6: months of training before the first window."),
        rule("--wf-min-trades", int, "Phase 6: trades that make a window valid."),
        rule("--wf-min-windows", int, "Phase 6: valid windows needed."),
        rule("--wf-min-pct-positive", float, "Phase 6: share of valid windows with positive expectancy, 0-1."),
    ]


_WORLDS = [
    _rule("--worlds", int, "How many worlds without an edge."),
    _rule("--block-days", float, "Mean length of the blocks of days that worlds are made of."),
    _rule("--null-seed", int, "The same seed draws the same worlds."),
]
_GATE = click.option(
    "--gate",
    type=click.Choice([*GATES_OF_ALL, "none"]),
    multiple=True,
    help="Phase 7: also ask for evidence that holds over all strategies; may be repeated.",
)


def _fdr(rule: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The flags of the gate that needs no worlds."""
    return [
        rule("--gate-alpha", float, "Level of the gates fdr and stepm.  [default: 0.05]"),
        rule("--fdr-method", click.Choice(FDR_METHODS), "Gate fdr: how p-values are corrected.  [default: bh]"),
        rule("--fdr-sides", click.IntRange(1, 2), "Gate fdr: sides of the p-values.  [default: 1]"),
    ]


def _details(rule: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The flags of years, windows and filters that most users leave as they are."""
    return [
        rule(
            "--waived-years",
            _choices("waived_years"),
            "Phase 3: excuse waived years, or count them with the positive ones for the share.",
        ),
        rule(
            "--years-counted",
            _choices("years_counted"),
            "Setups: years that they are said to be tested in; all, or of enough trades.",
        ),
        rule("--wf-first-day", str, "Phase 6: windows start no earlier than training after this day.", metavar=DATE),
        rule("--wf-last-day", str, "Phase 6: later outcomes are not looked at, as a holdout.", metavar=DATE),
        rule("--wf-window-trades", int, "Phase 6: windows of so many wins and losses in place of months."),
        rule("--wf-train-trades", int, "Phase 6: wins and losses before the first of them; default: as many."),
        click.option("--wf-in-sample", is_flag=True, help="Phase 6: also what training windows earn, and efficiency."),
        rule("--wf-in-sample-min", int, "Phase 6: training outcomes that takes."),
        rule("--small-sample", int, "Strategies with fewer trades take the flags of small samples; 0: none."),
        rule("--small-min-trades-per-year", int, "--min-trades-per-year of small samples."),
        rule("--small-wf-min-trades", int, "--wf-min-trades of small samples."),
        rule("--small-wf-min-windows", int, "--wf-min-windows of small samples."),
        rule("--small-wf-window-trades", int, "--wf-window-trades of small samples."),
        rule("--small-wf-train-trades", int, "--wf-train-trades of small samples."),
        rule(
            "--filters",
            _choices("filters"),
            "Where conditions come from: filters' names, or their JSON in filter_params.",
        ),
        rule(
            "--unknown-filters",
            _choices("unknown_filters"),
            "A filter that nobody understands: every day, no day, or FAILED.",
        ),
        click.option(
            "--touch-entry-models",
            multiple=True,
            metavar="MODEL",
            help="Entry models that fill on touch; may be repeated.",
        ),
    ]


def _evidence(rule: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The flags of gates that are off unless asked for."""
    return [
        _rule("--era-starts", int, "Phase 10: years in which eras start; the last ends them.", multiple=True),
        rule("--era-min-trades", int, "Phase 10: trades that an era needs to be judged."),
        rule("--era-min-exp", float, "Phase 10: least expectancy of an era, in R."),
        rule("--holdout-from", str, "Phase 9: first day of the holdout; off unless given.", metavar=DATE),
        rule("--holdout-min-trades", int, "Phase 9: trades that the holdout needs to be judged."),
        rule("--holdout-few", _choices("holdout_few"), "Phase 9: what becomes of strategies with fewer."),
        rule("--holdout-min-exp", float, "Phase 9: least expectancy in the holdout, in R."),
        rule("--holdout-min-ratio", float, "Phase 9: least share of the expectancy before; off unless given."),
        rule(
            "--min-wfe",
            float,
            "Phase 8: least efficiency, expectancy in tests over that in training; off unless given.",
        ),
        click.option(
            "--fdr-instruments", multiple=True, metavar="SYM", help="Gate fdr: whose p-values are corrected together."
        ),
        click.option("--fdr-group-by", multiple=True, metavar="COLUMN", help="Gate fdr: correct within each of these."),
        click.option(
            "--fdr-k-file",
            type=click.Path(path_type=Path),
            metavar="JSON",
            help="Gate fdr: number of tests of each group.",
        ),
        rule("--min-sharpe-ann", float, "Gate fdr: also more than this annual Sharpe ratio; off unless given."),
    ]


_RULES = [
    *_numbers(_rule),
    *_details(_rule),
    *_evidence(_rule),
    click.option("--provenance", metavar="TEXT", help="What promoted rows say of their origin."),
    _GATE,
    *_fdr(_rule),
    _rule("--gate-share", float, "Gate luck: largest share of luck among promotions as strong."),
    click.option("--calibrate", is_flag=True, help="Also count the promotions that luck would make."),
    *_WORLDS,
    wf_output,
    strict_filters,
    rules_file,
    instruments,
    click.option("--dry-run", is_flag=True, help="Compute and report everything, write nothing."),
]


def selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """Which strategies of the instrument."""
    return _apply(_selection("waiting"), command)


def any_selection(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same where all are meant unless something else is said."""
    return _apply(_selection("all"), command)


def rules(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that RunConfig has fields for, in the order of the help page."""
    return _apply(_RULES, command)


def settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that verdicts depend on, numbers each with as many values as are wanted."""
    return _apply([*_numbers(_several), strict_filters, rules_file, instruments], command)


def swept(command: Callable[..., Any]) -> Callable[..., Any]:
    """All flags that promotions depend on and that need no worlds, each with as many values as are wanted."""
    several = [*_numbers(_several), *_details(_several), *_evidence(_several), _GATE, *_fdr(_several)]
    return _apply([*several, strict_filters, rules_file, instruments], command)


def worlds(command: Callable[..., Any]) -> Callable[..., Any]:
    """How worlds are drawn."""
    return _apply(_WORLDS, command)


journal = click.option(
    "--journal",
    type=click.Path(path_type=Path),
    show_default="DB.INSTRUMENT.journal",
    help="What survives a crash.",
)
wait_for_lock = click.option(
    "--wait-for-lock",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait while somebody else holds the database.",
)
memory_limit = click.option(
    "--memory-limit",
    metavar="SIZE",
    show_default="400MiB, more for long rows",
    help="What DuckDB may take in each process, such as 2GB.",
)
allow_external_views = click.option(
    "--allow-external-views", is_flag=True, help="Let views of the database read files, with your rights."
)
keep_runs = click.option(
    "--keep-runs",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many runs of the instrument stay on record.  [default: all]",
)
_OF_COMPUTING = [
    click.option(
        "--task-timeout",
        type=click.FloatRange(min=0, min_open=True),
        default=600.0,
        metavar="SECONDS",
        help="A strategy that takes longer is FAILED.",
    ),
    wait_for_lock,
    memory_limit,
    allow_external_views,
]
_SAFEGUARDS = [
    click.option("--resume", is_flag=True, help="Go on with an interrupted run; also retry FAILED strategies."),
    click.option("--discard", is_flag=True, help="Forget what an interrupted one has left."),
    journal,
    *_OF_COMPUTING,
]


_OF_CALIBRATION = _SAFEGUARDS[1:]  # nothing to resume: what is kept is taken over


def calibration_safeguards(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those that a command without verdicts has."""
    return _apply(_OF_CALIBRATION, command)


def sweep_safeguards(command: Callable[..., Any]) -> Callable[..., Any]:
    """Those that a command without a journal has."""
    return _apply(_OF_COMPUTING, command)


def access(command: Callable[..., Any]) -> Callable[..., Any]:
    """What connections to the database may take and reach, for commands without safeguards."""
    return _apply([memory_limit, allow_external_views], command)


def safeguards(command: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that Safeguards has fields for."""
    return _apply(_SAFEGUARDS, command)


_TRADE_FILES = [
    click.option("--format", metavar="TOOL", help="Which tool wrote the trades.  [default: told by the columns]"),
    click.option(
        "--unit", type=click.Choice(["r", "return", "money"]), help="Unit of the results, where no risk is known."
    ),
    click.option("--timezone", metavar="ZONE", help="By which zone days are told, such as America/New_York."),
    click.option(
        "--columns",
        multiple=True,
        metavar="THEIRS=OURS",
        help="Rename columns, any number; or one TOML file that does.",
    ),
    click.option("--table", metavar="NAME", help="Which table or view of a DuckDB file holds the trades."),
    click.option(
        "--date-order", type=click.Choice(["mdy", "dmy", "ymd"]), help="Order of dates that can be read in two ways."
    ),
    click.option(
        "--fees", type=click.Choice(["included", "excluded"]), help="Whether results are after the fees column."
    ),
    click.option(
        "--cost-per-trade", type=click.FloatRange(min=0), metavar="X", help="Round-trip cost of trades that state none."
    ),
]


def trade_files(command: Callable[..., Any]) -> Callable[..., Any]:
    """How trades of other tools are read."""
    return _apply(_TRADE_FILES, command)


quiet = click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print the summary as one object, alone on stdout.")
_OUTPUTS = [
    click.option("--report", type=click.Path(path_type=Path), metavar="HTML", help="Write a report of the run."),
    as_json,
    click.option(
        "-v",
        "--verbose",
        is_flag=True,
        help="Also list every FAILED strategy, what tasks and stages took, and whether more workers would pay.",
    ),
    quiet,
]


def outputs(command: Callable[..., Any]) -> Callable[..., Any]:
    """How much a command says."""
    return _apply(_OUTPUTS, command)


_SURROUNDINGS = [
    click.option(
        "--dashboard-address",
        default="127.0.0.1:8787",
        show_default=True,
        metavar="HOST:PORT",
        help="Where the Dask dashboard listens; the next free port when taken.",
    ),
    click.option("--no-dashboard", is_flag=True, help="Start no dashboard."),
    click.option(
        "--keep-dashboard",
        is_flag=False,
        flag_value=str(UNTIL_INTERRUPT),
        type=click.FloatRange(min=0),
        metavar="[SECONDS]",
        help="Keep the cluster and its dashboard after the summary, until Ctrl-C or the time is up.",
    ),
    *_OUTPUTS,
]


def surroundings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where a run is watched, and how much it says."""
    return _apply(_SURROUNDINGS, command)


def _apply(flags: list[Callable[..., Any]], command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(flags):
        command = option(command)
    return command


def _pem(name: str, help: str) -> Callable[..., Any]:
    return click.option(name, type=click.Path(path_type=Path), metavar="PEM", help=help)


def _workers(default: str) -> Callable[..., Any]:
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        metavar="N",
        help=f"Worker processes; 1 is serial, in this process.  [default: {default}]",
    )


_SCHEDULER = [
    click.option(
        "--scheduler", metavar="ADDRESS", help="Run on an existing Dask cluster instead, such as tcp://10.0.0.5:8786."
    ),
    _pem("--tls-ca-file", "For a tls:// scheduler: the CA that signed its certificate."),
    _pem("--tls-cert", "For a tls:// scheduler: the certificate to show."),
    _pem("--tls-key", "The key of that certificate, unless its file has it too."),
]


def scheduler(command: Callable[..., Any]) -> Callable[..., Any]:
    """A cluster of others, and how to be let in."""
    return _apply(_SCHEDULER, command)


workers = _workers("one core less than there are, at most 8")
demo_workers = _workers("the same, but at least 2, so that Dask is seen")
