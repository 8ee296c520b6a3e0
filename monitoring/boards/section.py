"""One section, for its TAs: no names, see the page of the section for those."""

from monitoring.boards.parts import Board, Shown

_HERE = 'hub=~"$hub",section="$section"'


def _kind(kind: str) -> str:
    return f'sum(gpulab_section_gpu_seconds{{{_HERE},kind="{kind}"}})'


BOARD = Board(
    uid="gpulab-section",
    title="GPU lab: section",
    text="How a section's week goes. Names are on the lab's own page of the section.",
    variables=("hub", "section"),
    since="now-24h",
    rows={
        "This week": [
            Shown(title="Running", text="Sessions of the section.", unit="none", kind="stat",
                  width=6,
                  queries=[(f"sum(gpulab_section_sessions_running{{{_HERE}}})", "running")]),
            Shown(title="Out of hours", text="Scholars with nothing left this week.",
                  unit="none", kind="stat", width=6, yellow=1, red=5,
                  queries=[(f'sum(gpulab_section_scholars{{{_HERE},band="none"}})', "none")]),
            Shown(title="Used", text="Of what the section was given.", unit="percentunit",
                  kind="stat", width=6, most=1, yellow=0.8, red=0.95,
                  queries=[(f"{_kind('used')} / ({_kind('given')} > 0)", "used")]),
            Shown(title="Used by the week's end", text="At the pace of the week so far.",
                  unit="percentunit", kind="stat", width=6, most=1,
                  queries=[((f"sum(gpulab:section_used_at_week_end:gpu_seconds{{{_HERE}}}) "
                            f"/ ({_kind('given')} > 0)"), "used")]),
        ],
        "How it went": [
            Shown(title="Hours", text="GPU-hours given, used and left.", unit="h",
                  queries=[(f"{_kind(kind)} / 3600", kind)
                           for kind in ("given", "used", "left")]),
            Shown(title="Scholars, by what is left to them",
                  text="Nothing, under a tenth, under a half, more.", unit="none", stacked=True,
                  queries=[(f"sum by (band) (gpulab_section_scholars{{{_HERE}}})", "{{band}}")]),
            Shown(title="Sessions", text="That run.", unit="none",
                  queries=[(f"sum(gpulab_section_sessions_running{{{_HERE}}})", "running")]),
            Shown(title="What its sessions on GPUs do",
                  text="holding and empty ones keep a GPU from others.", unit="none",
                  stacked=True,
                  queries=[(f"count by (does) (gpulab_session_gpu_info{{{_HERE}}})",
                            "{{does}}")]),
            Shown(title="GPUs under its sessions",
                  text="Part of the time in which a kernel ran, neighbours on a GPU included.",
                  unit="percentunit", most=1,
                  queries=[(f"avg(gpulab:session_gpu_utilization:ratio{{{_HERE}}})", "used")]),
            Shown(title="Raised hands, all sections", text="Open requests for help.",
                  unit="none", yellow=5, red=15,
                  queries=[('sum by (state) (gpulab_help_requests{hub=~"$hub"})', "{{state}}")]),
        ],
    },
)  # fmt: skip
