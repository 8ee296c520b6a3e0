/** What the lab says of this session, read with suspicion: whatever is no fact is left out. */

export interface Visit {
  id: string;
  ta: string;
  mode: string;
  reason: string;
  untilMs: number | null;
}

export interface Help {
  id: string;
  state: string;
  place: number | null;
  message: string;
  claimedBy: string;
}

export interface Use {
  state: string;
  gpuRatio: number | null;
  memoryMib: number | null;
  releaseAtMs: number | null;
  keptUntilMs: number | null;
}

export interface Facts {
  pollAfterS: number;
  title: string;
  isGpu: boolean;
  weightMgpu: number;
  image: string;
  gpu: { name: string; memoryMib: number | null } | null;
  /** Thousandths of a GPU x milliseconds, at `serverTimeMs`. */
  leftMgpuMs: number;
  resetsAtMs: number | null;
  leaseId: string;
  state: string;
  chargedMgpuMs: number;
  endsAtMs: number | null;
  endText: string;
  warnMin: number[];
  use: Use | null;
  attached: Visit[];
  help: Help | null;
  canKeep: boolean;
  canAsk: boolean;
  hoursUrl: string;
  startUrl: string;
}

export type Answer =
  | { kind: 'away' }
  | { kind: 'visitor'; mode: string; scholar: string; attached: Visit[] }
  | { kind: 'owner'; facts: Facts; serverTimeMs: number; ageMs: number };

type Json = Record<string, unknown>;

const MOST_CHARS = 500;
const MOST_LISTED = 20;
const DEFAULT_WARN_MIN = [60, 15, 5, 1];

/** Read an answer of the session's server; what cannot be understood is no answer. */
export function readAnswer(given: unknown): Answer {
  const all = object(given);
  const attached = list(all.attached).map(visit);
  if (all.viewer === 'observe' || all.viewer === 'co_edit') {
    return { kind: 'visitor', mode: all.viewer, scholar: text(all.scholar), attached };
  }
  const serverTimeMs = instant(all.server_time);
  const balance = object(all.balance);
  const granted = number(balance.granted_mgpu_ms);
  const charged = number(balance.charged_mgpu_ms);
  if (all.answered !== true || serverTimeMs === null || granted === null || charged === null) {
    return { kind: 'away' };
  }
  const facts = { ...session(all), leftMgpuMs: granted - charged, attached };
  return { kind: 'owner', facts, serverTimeMs, ageMs: Math.max(0, number(all.age_ms) ?? 0) };
}

function session(all: Json): Omit<Facts, 'leftMgpuMs' | 'attached'> {
  const [flavor, own, balance] = [object(all.flavor), object(all.session), object(all.balance)];
  const [can, links] = [object(all.can), object(all.links)];
  return {
    pollAfterS: number(all.poll_after_s) ?? 30,
    title: text(flavor.title),
    isGpu: flavor.is_gpu === true,
    weightMgpu: number(flavor.weight_mgpu) ?? 0,
    image: text(all.image),
    gpu: all.gpu ? gpu(object(all.gpu)) : null,
    resetsAtMs: instant(balance.resets_at),
    leaseId: text(own.lease_id),
    state: text(own.state),
    chargedMgpuMs: number(own.charged_mgpu_ms) ?? 0,
    endsAtMs: instant(own.ends_at),
    endText: text(own.end_text),
    warnMin: minutes(all.warn_min),
    use: all.use ? use(object(all.use)) : null,
    help: all.help ? help(object(all.help)) : null,
    canKeep: can.keep === true,
    canAsk: can.ask === true,
    hoursUrl: address(links.hours),
    startUrl: address(links.start)
  };
}

function gpu(given: Json): Facts['gpu'] {
  return { name: text(given.name), memoryMib: number(given.memory_mib) };
}

function use(given: Json): Use {
  return {
    state: text(given.state),
    gpuRatio: number(given.gpu_ratio),
    memoryMib: number(given.memory_mib),
    releaseAtMs: instant(given.release_at),
    keptUntilMs: instant(given.kept_until)
  };
}

function help(given: Json): Help {
  return {
    id: text(given.id),
    state: text(given.state),
    place: number(given.place),
    message: text(given.message),
    claimedBy: text(given.claimed_by)
  };
}

function visit(given: unknown): Visit {
  const one = object(given);
  return {
    id: text(one.id),
    ta: text(one.ta),
    mode: text(one.mode),
    reason: text(one.reason),
    untilMs: instant(one.until)
  };
}

function minutes(given: unknown): number[] {
  const found = list(given).filter(one => typeof one === 'number' && one > 0 && one < 10_000);
  return found.length ? (found as number[]) : DEFAULT_WARN_MIN;
}

function object(given: unknown): Json {
  return typeof given === 'object' && given !== null ? (given as Json) : {};
}

function list(given: unknown): unknown[] {
  return Array.isArray(given) ? given.slice(0, MOST_LISTED) : [];
}

function text(given: unknown): string {
  return typeof given === 'string' ? given.slice(0, MOST_CHARS) : '';
}

function number(given: unknown): number | null {
  return typeof given === 'number' && Number.isFinite(given) ? given : null;
}

function instant(given: unknown): number | null {
  const at = typeof given === 'string' ? Date.parse(given) : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

/** Pages of the lab only: an address that would run something is none. */
function address(given: unknown): string {
  return /^(https?:\/\/|\/)/.test(text(given)) ? text(given) : '';
}
