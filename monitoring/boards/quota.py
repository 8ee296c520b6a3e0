"""Quota by section and week: given, used, what it will come to, and whether it is possible."""

from monitoring.boards.parts import Board, Shown

_HERE = 'hub=~"$hub",section=~"$section"'


def _hours(kind: str) -> str:
    return f'sum by (section) (gpulab_section_gpu_seconds{{{_HERE},kind="{kind}"}}) / 3600'


_COMING = f"sum by (section) (gpulab:section_used_at_week_end:gpu_seconds{{{_HERE}}})"
_GIVEN = f'sum by (section) (gpulab_section_gpu_seconds{{{_HERE},kind="given"}})'

BOARD = Board(
    uid="gpulab-quota",
    title="GPU lab: quota by section and week",
    text="What sections were given and have used, what it comes to, and what is possible.",
    variables=("hub", "section"),
    since="now-7d",
    rows={
        "This week": [
            Shown(title="Used of what was given", text="GPU-hours of the running week.",
                  unit="percentunit", kind="bars", most=1,
                  queries=[(f"{_hours('used')} / ({_hours('given')} > 0)", "{{section}}")]),
            Shown(title="Used by the week's end, of what was given",
                  text="At the pace of the week so far; organizers see the same figure.",
                  unit="percentunit", kind="bars", most=1,
                  queries=[(f"{_COMING} / ({_GIVEN} > 0)", "{{section}}")]),
            Shown(title="GPUs that a section uses on average", text="Since its week began.",
                  unit="none",
                  queries=[(f"sum by (section) (gpulab:section_burn:gpus{{{_HERE}}})",
                            "{{section}}")]),
            Shown(title="Promised of possible",
                  text="What is left to all whose weeks end by then, of what the GPUs can give.",
                  unit="percentunit", yellow=0.8, red=1,
                  queries=[(f"{_hours('promised')} / ({_hours('possible')} > 0)",
                            "{{section}}")]),
        ],
        "Hours": [
            Shown(title="Given", text="GPU-hours that count until the week's end.", unit="h",
                  queries=[(_hours("given"), "{{section}}")]),
            Shown(title="Used", text="GPU-hours of the week.", unit="h",
                  queries=[(_hours("used"), "{{section}}")]),
            Shown(title="Left", text="GPU-hours that people still have.", unit="h",
                  queries=[(_hours("left"), "{{section}}")]),
            Shown(title="Charged, all sections", text="GPUs that are paid for.", unit="none",
                  queries=[('sum(rate(gpulab_charged_gpu_seconds_total{hub=~"$hub"}[1h]))',
                            "GPUs")]),
        ],
        "People": [
            Shown(title="Scholars, by what is left to them",
                  text="Nothing, under a tenth, under a half, more.", unit="none", stacked=True,
                  queries=[(f"sum by (band) (gpulab_section_scholars{{{_HERE}}})", "{{band}}")]),
            Shown(title="Given by people", text="Grants and refunds in a day.", unit="none",
                  queries=[(('sum by (action) (increase(gpulab_deeds_total{hub=~"$hub",'
                            'action=~"grant|refund|incident"}[1d]))'), "{{action}}")]),
        ],
    },
)  # fmt: skip
