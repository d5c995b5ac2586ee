"""What ``camray run --dry-run`` prints: for each stage whether it would run, and why."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from camray.commands.arguments import RunOptions, console, print_json

_MARKS = {"done": "[dim]up to date[/dim]", "refused": "[red]stops[/red]"}
_RETRAINS = {"settings", "input", "after"}


def print_dry_run(runs: list[tuple[Any, Any]], until: str, options: RunOptions, as_json: bool) -> None:
    """Print which stages of these runs, given as settings and folder, would run; nothing is written."""
    from camray.workflows.setting_names import check_names
    from camray.workflows.stage_reasons import plan_stages

    for settings, folder in runs:
        check_names(settings, folder, until)
    planned = {str(folder.root): plan_stages(settings, folder, until, options.force) for settings, folder in runs}
    if as_json:
        listed = [{"run": root, "stages": [_plain(reason) for reason in reasons]} for root, reasons in planned.items()]
        print_json(listed[0] if len(listed) == 1 else listed)
        return
    out = Console()
    for root, reasons in planned.items():
        out.print(f"[bold]{escape(root)}[/bold]", highlight=False, soft_wrap=True)
        for reason in reasons:
            mark, text = _MARKS.get(reason.kind, "[bold]runs[/bold]"), escape(f": {reason.text}" if reason.text else "")
            out.print(f"  {reason.stage:<9} {mark}{text}", highlight=False, soft_wrap=True)
        if not options.overwrite and any(reason.stage == "train" and reason.kind in _RETRAINS for reason in reasons):
            out.print("  a trained network is there: to train again needs --overwrite, or name=NAME", highlight=False)
    console.print("nothing was done (--dry-run)")


def _plain(reason: Any) -> dict[str, Any]:
    return {"stage": reason.stage, "runs": reason.runs, "kind": reason.kind, "reason": reason.text}
