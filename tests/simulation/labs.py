"""Labs to simulate: a small one with every rule in it, and a program of nine weeks."""

SMALL = """
name: Small lab
organizers: [olga]
sections:
  west:
    time_zone: America/New_York
    tas: [tomas]
    scholars: [ada, blaise, chen]
    hours_per_week: 3
    pool: {hours_per_week: 2, most_per_scholar: 1}
    co_working: [{day: wednesday, starts: "18:00", ends: "20:00"}]
  east:
    time_zone: Europe/Berlin
    tas: [tomas]
    scholars: [dina, emeka, fatima]
    hours_per_week: 2
program:
  starts_on: 2026-10-19
  weeks: [{topic: One}, {topic: Two, hours: 4}, {topic: Three, optional: true}]
scholars:
  blaise: {opted_out: true}
  emeka: {absences: [{week: 1, use_in: [2, 3]}]}
due_dates:
  first: {title: First, due: "2026-10-30 23:59", hours: 1}
blackouts:
  works: {title: Works, starts: "2026-10-28 03:00", ends: "2026-10-28 05:00"}
roll_over: {percent: 50, most_hours: 2}
flavors:
  cpu: {weight_mgpu: 0}
  quarter: {weight_mgpu: 250, share_mgpu: 250, memory_mib: 4096}
  whole: {weight_mgpu: 1000, share_mgpu: 1000, memory_mib: 16384}
images:
  base: {docker: "gpulab/base:latest"}
gpus:
  mode: declared
  declared: [{name: Virtual GPU, memory_mib: 16384, count: 1}]
"""

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
