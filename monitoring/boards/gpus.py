"""GPUs: what is leased, what is used, how they are. On Docker from NVML, on clusters from DCGM."""

from monitoring.boards.parts import Board, Shown

_HERE = 'hub=~"$hub",pool=~"$pool"'
_BY_GPU = "{{pool}} {{gpu}}"
_OCCUPIED = 'avg(gpulab_gpu_occupied_ratio{hub=~"$hub"})'

BOARD = Board(
    uid="gpulab-gpus",
    title="GPU lab: GPUs",
    text="What is leased, what is used, and how the GPUs are.",
    variables=("hub", "pool"),
    rows={
        "Leased and used": [
            Shown(title="GPUs by state",
                  text="With nobody, somebody or no further room on them; out of service.",
                  unit="none", stacked=True,
                  queries=[('sum by (state) (gpulab_gpus_by_state{hub=~"$hub"})', "{{state}}")]),
            Shown(title="Leased and used", text="What is leased but not used could serve others.",
                  unit="percentunit", most=1,
                  queries=[(_OCCUPIED, "leased"),
                           (f"avg(gpulab:gpu_utilization:ratio{{{_HERE}}})", "used")]),
            Shown(title="What sessions on GPUs do",
                  text="active: with somebody there; training: computes by itself; holding: only "
                  "keeps memory; empty: nothing.",
                  unit="none", stacked=True,
                  queries=[('sum by (state) (gpulab_worker_gpu_sessions{hub=~"$hub"})',
                            "{{state}}")]),
            Shown(title="Sessions that do not use their GPU", text="Part of those on GPUs.",
                  unit="percentunit", most=1, yellow=0.25, red=0.4,
                  queries=[('gpulab:sessions_idle:ratio{hub=~"$hub"}', "idle")]),
        ],
        "Each GPU": [
            Shown(title="Utilization", text="Part of the time in which a kernel ran.",
                  unit="percentunit", most=1,
                  queries=[(f"gpulab:gpu_utilization:ratio{{{_HERE}}}", _BY_GPU)]),
            Shown(title="Memory in use", text="Part of the memory of a GPU.", unit="percentunit",
                  most=1, yellow=0.9, red=0.98,
                  queries=[((f"gpulab:gpu_memory_used:bytes{{{_HERE}}} "
                            f"/ gpulab:gpu_memory:bytes{{{_HERE}}}"), _BY_GPU)]),
            Shown(title="Temperature", text="Most cards slow down from about 85 °C on.",
                  unit="celsius", yellow=80, red=88,
                  queries=[(f"gpulab:gpu_temperature:celsius{{{_HERE}}}", _BY_GPU)]),
            Shown(title="Power", text="What each GPU draws.", unit="watt",
                  queries=[(f"gpulab:gpu_power:watts{{{_HERE}}}", _BY_GPU)]),
        ],
        "Faults": [
            Shown(title="Does the driver answer?", text="1: at the last look.", unit="none",
                  kind="stat", width=6, red=1, low_is_bad=True,
                  queries=[('min(gpulab_gpu_driver_up{hub=~"$hub"})', "driver")]),
            Shown(title="Lost GPUs", text="Looks in the last hour that missed a GPU.",
                  unit="none", kind="stat", width=6, red=1,
                  queries=[(('round(sum(increase(gpulab_worker_alarms_total{hub=~"$hub",'
                            'event="gpu_lost"}[1h])))'), "lost")]),
            Shown(title="What the drivers do not tell",
                  text="GPUs that lack a figure, by figure: MIG instances tell no utilization.",
                  unit="none", kind="bars", yellow=1,
                  queries=[('sum by (figure) (gpulab_gpu_figures_missing{hub=~"$hub"})',
                            "{{figure}}")]),
        ],
    },
)  # fmt: skip
