"""Labs to simulate: the small one of `make sim` with every rule in it, and one of nine weeks."""

from pathlib import Path

from quota import simulation

SMALL = Path(simulation.__file__).with_name("lab.yaml").read_text("utf-8")

PROGRAM = """
name: Nine weeks
sections:
  americas: {time_zone: America/New_York, hours_per_week: 4,
             co_working: [{day: tuesday, starts: "18:00", ends: "20:00"}]}
  europe-africa: {time_zone: Europe/Berlin, hours_per_week: 4,
                  co_working: [{day: wednesday, starts: "18:00", ends: "20:00"}]}
  asia-pacific: {time_zone: Asia/Singapore, hours_per_week: 4}
program:
  starts_on: 2022-06-20
  weeks:
    - {hours: 1}
    - {hours: 1}
    - {hours: 3}
    - {hours: 5}
    - {hours: 5}
    - {hours: 5}
    - {hours: 3}
    - {hours: 3}
    - {hours: 6, optional: true, ends_on: 2022-08-19}
due_dates:
  nets: {due: "2022-07-15 23:59", hours: 1}
  project: {due: "2022-08-19 20:00", hours: 1}
flavors:
  quarter: {weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}
  half: {weight_mgpu: 500, share_mgpu: 500, memory_mib: 8192}
  whole: {weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}
images:
  base: {docker: "gpulab/base:latest"}
gpus:
  mode: declared
  declared: [{name: Virtual GPU, memory_mib: 16384, count: 8}]
"""
