/* A small stand-in for libnvidia-ml.so.1, so that the real nvidia-ml-py runs without a GPU.

   It reads the text file $FAKE_NVML_STATE again at every call:
     gpu "<name>" <uuid> <total MiB> <mig 0|1>
     mig <gpu> "<name>" <uuid> <instance> <total MiB>
     proc <gpu> <pid> <MiB, - for not told> <sm %> <instance, -1 for none>
     mps <gpu> <pid>
     lost <gpu>
     measures <gpu> <degrees Celsius> <mW>
     fail <exported function> <code>                                                          */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef unsigned int u32;
typedef unsigned long long u64;

enum {
  OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7,
  LOST = 15
};
enum { MOST_GPUS = 16, MOST_INSTANCES = 32, MOST_PROCESSES = 64, MOST_LIMITS = 32 };

typedef struct {
  int is_instance, number, parent, instance, is_mig, is_lost;
  u32 celsius, milliwatts;
  char name[96], uuid[96];
  u64 total;
} Device;
typedef struct { int gpu, instance, is_mps; u32 pid, sm; u64 used; } Process;
typedef struct { char function[64]; int code; } Failure;

/* Handles are addresses in these, so they stay the same from call to call. */
static Device gpus[MOST_GPUS], instances[MOST_INSTANCES];
static Process processes[MOST_PROCESSES];
static Failure failures[8];
static int gpu_count, instance_count, process_count, failure_count, references;

static void read_line(const char *line) {
  char name[96], uuid[96], used[32];
  int gpu, instance, is_mig, code;
  u64 total;
  u32 pid, sm, celsius, milliwatts;
  if (gpu_count < MOST_GPUS &&
      sscanf(line, "gpu \"%95[^\"]\" %95s %llu %d", name, uuid, &total, &is_mig) == 4) {
    Device *one = &gpus[gpu_count];
    memset(one, 0, sizeof *one);
    one->number = gpu_count++;
    one->is_mig = is_mig;
    one->total = total << 20;
    strcpy(one->name, name);
    strcpy(one->uuid, uuid);
  } else if (instance_count < MOST_INSTANCES &&
             sscanf(line, "mig %d \"%95[^\"]\" %95s %d %llu", &gpu, name, uuid, &instance,
                    &total) == 5) {
    Device *one = &instances[instance_count++];
    memset(one, 0, sizeof *one);
    one->is_instance = 1;
    one->parent = gpu;
    one->instance = instance;
    one->total = total << 20;
    strcpy(one->name, name);
    strcpy(one->uuid, uuid);
  } else if (process_count < MOST_PROCESSES &&
             sscanf(line, "proc %d %u %31s %u %d", &gpu, &pid, used, &sm, &instance) == 5) {
    u64 bytes = used[0] == '-' ? ~0ULL : strtoull(used, NULL, 10) << 20;
    processes[process_count++] = (Process){gpu, instance, 0, pid, sm, bytes};
  } else if (process_count < MOST_PROCESSES && sscanf(line, "mps %d %u", &gpu, &pid) == 2) {
    processes[process_count++] = (Process){gpu, -1, 1, pid, 0, 0};
  } else if (sscanf(line, "lost %d", &gpu) == 1 && gpu < gpu_count) {
    gpus[gpu].is_lost = 1;
  } else if (sscanf(line, "measures %d %u %u", &gpu, &celsius, &milliwatts) == 3 &&
             gpu < gpu_count) {
    gpus[gpu].celsius = celsius;
    gpus[gpu].milliwatts = milliwatts;
  } else if (failure_count < 8 && sscanf(line, "fail %63s %d", name, &code) == 2) {
    strcpy(failures[failure_count].function, name);
    failures[failure_count++].code = code;
  }
}

static int enter(const char *function) {
  const char *path = getenv("FAKE_NVML_STATE");
  FILE *file = path ? fopen(path, "r") : NULL;
  char line[512];
  if (!file) return NOT_FOUND;
  gpu_count = instance_count = process_count = failure_count = 0;
  while (fgets(line, sizeof line, file)) read_line(line);
  fclose(file);
  for (int i = 0; i < failure_count; i++)
    if (!strcmp(failures[i].function, function)) return failures[i].code;
  return references || !strncmp(function, "nvmlInit", 8) ? OK : UNINITIALIZED;
}

static int enter_device(const char *function, const Device *one) {
  int code = enter(function);
  if (code) return code;
  if (!one) return INVALID;
  return (one->is_instance ? gpus[one->parent].is_lost : one->is_lost) ? LOST : OK;
}

#define ENTER do { int code = enter(__func__); if (code) return code; } while (0)
#define ENTER_DEVICE(one) \
  do { int code = enter_device(__func__, one); if (code) return code; } while (0)

int nvmlInit_v2(void) { ENTER; references++; return OK; }
int nvmlInitWithFlags(u32 flags) { (void)flags; ENTER; references++; return OK; }
int nvmlShutdown(void) { if (!references) return UNINITIALIZED; references--; return OK; }
const char *nvmlErrorString(int code) { (void)code; return "an error of the stand-in"; }
int nvmlDeviceGetCount_v2(u32 *count) { ENTER; *count = gpu_count; return OK; }

int nvmlDeviceGetHandleByIndex_v2(u32 number, Device **found) {
  ENTER;
  if ((int)number >= gpu_count) return INVALID;
  *found = &gpus[number];
  return gpus[number].is_lost ? LOST : OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, Device **found) {
  ENTER;
  for (int i = 0; i < gpu_count; i++)
    if (!strcmp(gpus[i].uuid, uuid)) { *found = &gpus[i]; return OK; }
  for (int i = 0; i < instance_count; i++)
    if (!strcmp(instances[i].uuid, uuid)) { *found = &instances[i]; return OK; }
  return NOT_FOUND;
}

int nvmlDeviceGetName(Device *one, char *text, u32 size) {
  ENTER_DEVICE(one);
  snprintf(text, size, "%s", one->name);
  return OK;
}

int nvmlDeviceGetUUID(Device *one, char *text, u32 size) {
  ENTER_DEVICE(one);
  snprintf(text, size, "%s", one->uuid);
  return OK;
}

typedef struct { u64 total, free, used; } Memory;
int nvmlDeviceGetMemoryInfo(Device *one, Memory *memory) {
  ENTER_DEVICE(one);
  int gpu = one->is_instance ? one->parent : one->number;
  u64 used = 0;
  for (int i = 0; i < process_count; i++) {
    Process *p = &processes[i];
    int is_here = p->gpu == gpu && (!one->is_instance || p->instance == one->instance);
    if (is_here && p->used != ~0ULL) used += p->used;
  }
  memory->total = one->total;
  memory->used = used;
  memory->free = one->total - used;
  return OK;
}

typedef struct { u32 gpu, memory; } Rates;
int nvmlDeviceGetUtilizationRates(Device *one, Rates *rates) {
  ENTER_DEVICE(one);
  if (one->is_instance) return NOT_SUPPORTED;
  rates->gpu = rates->memory = 0;
  for (int i = 0; i < process_count; i++)
    if (processes[i].gpu == one->number) rates->gpu += processes[i].sm;
  if (rates->gpu > 100) rates->gpu = 100;
  return OK;
}

int nvmlDeviceGetTemperature(Device *one, int sensor, u32 *celsius) {
  ENTER_DEVICE(one);
  (void)sensor;
  *celsius = one->celsius;
  return one->celsius ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(Device *one, u32 *milliwatts) {
  ENTER_DEVICE(one);
  *milliwatts = one->milliwatts;
  return one->milliwatts ? OK : NOT_SUPPORTED;
}

int nvmlDeviceGetTotalEccErrors(Device *one, int kind, int since, u64 *count) {
  ENTER_DEVICE(one);
  (void)kind;
  (void)since;
  *count = 0;
  return one->is_instance ? NOT_SUPPORTED : OK;
}

int nvmlDeviceGetMigMode(Device *one, u32 *current, u32 *pending) {
  ENTER_DEVICE(one);
  *current = *pending = one->is_mig;
  return OK;
}

int nvmlDeviceGetMaxMigDeviceCount(Device *one, u32 *count) {
  ENTER_DEVICE(one);
  *count = one->is_mig ? 7 : 0;
  return OK;
}

int nvmlDeviceGetMigDeviceHandleByIndex(Device *one, u32 number, Device **found) {
  ENTER_DEVICE(one);
  for (int i = 0; i < instance_count; i++)
    if (instances[i].parent == one->number && instances[i].instance == (int)number) {
      *found = &instances[i];
      return OK;
    }
  return NOT_FOUND;
}

typedef struct { u32 pid; u64 used; u32 gpu_instance, compute_instance; } Running;
static int running(Device *one, u32 *count, Running *found, int is_mps) {
  u32 room = *count, k = 0;
  int gpu = one->is_instance ? one->parent : one->number;
  for (int i = 0; i < process_count; i++) {
    Process *p = &processes[i];
    if (p->gpu != gpu || p->is_mps != is_mps) continue;
    if (one->is_instance && p->instance != one->instance) continue;
    if (found && k < room) found[k] = (Running){p->pid, p->used, 0, 0};
    k++;
  }
  *count = k;
  return k > room ? TOO_SMALL : OK;
}

int nvmlDeviceGetComputeRunningProcesses_v3(Device *one, u32 *count, Running *found) {
  ENTER_DEVICE(one);
  return running(one, count, found, 0);
}

int nvmlDeviceGetMPSComputeRunningProcesses_v3(Device *one, u32 *count, Running *found) {
  ENTER_DEVICE(one);
  return running(one, count, found, 1);
}

typedef struct { u32 pid; u64 at; u32 sm, memory, encoder, decoder; } Sample;
int nvmlDeviceGetProcessUtilization(Device *one, Sample *found, u32 *count, u64 since) {
  struct timespec now;
  u32 room = *count, k = 0;
  ENTER_DEVICE(one);
  if (one->is_instance || one->is_mig) return NOT_SUPPORTED;
  clock_gettime(CLOCK_REALTIME, &now);
  u64 at = now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
  /* Like the driver: only processes that were busy. */
  for (int i = 0; i < process_count && since <= at; i++) {
    if (processes[i].gpu != one->number || !processes[i].sm) continue;
    if (found && k < room) found[k] = (Sample){processes[i].pid, at, processes[i].sm, 0, 0, 0};
    k++;
  }
  *count = k;
  if (!k) return NOT_FOUND;
  return !found || k > room ? TOO_SMALL : OK;
}

typedef struct { const char *group; u64 soft, hard; } Wanted;
typedef struct { const char *group; u64 soft, hard, used; } InForce;
typedef struct { char uuid[96], group[512]; u64 soft, hard; } Limit;
static Limit limits[MOST_LIMITS];
static int limit_count;

static Limit *limit_of(Device *one, const char *group) {
  for (int i = 0; i < limit_count; i++)
    if (!strcmp(limits[i].uuid, one->uuid) && !strcmp(limits[i].group, group)) return &limits[i];
  return NULL;
}

int nvmlDeviceSetMemoryLimits_v1(Device *one, Wanted *wanted) {
  ENTER_DEVICE(one);
  if (one->is_instance || one->is_mig) return NOT_SUPPORTED;
  if (wanted->soft > wanted->hard) return INVALID;
  Limit *limit = limit_of(one, wanted->group);
  if (!limit) {
    if (limit_count == MOST_LIMITS) return INVALID;
    limit = &limits[limit_count++];
    strcpy(limit->uuid, one->uuid);
    snprintf(limit->group, sizeof limit->group, "%s", wanted->group);
  }
  limit->soft = wanted->soft;
  limit->hard = wanted->hard;
  return OK;
}

int nvmlDeviceGetMemoryLimits_v1(Device *one, InForce *told) {
  ENTER_DEVICE(one);
  if (one->is_instance || one->is_mig) return NOT_SUPPORTED;
  Limit *limit = limit_of(one, told->group);
  if (!limit) return NOT_FOUND;
  told->soft = limit->soft;
  told->hard = limit->hard;
  told->used = 0;
  return OK;
}
