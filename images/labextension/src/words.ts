/** Amounts and instants as people read them. */
import type { Facts, Help, Use, Visit } from './facts';

const HOUR_MGPU_MS = 1000 * 3_600_000;
const MINUTE_MS = 60_000;
const MODES: Record<string, string> = {
  observe: 'observes',
  co_edit: 'edits together with you in'
};
const USES: Record<string, string> = {
  active: 'in use',
  training: 'in use',
  holding: 'not used, but its memory is held',
  empty: 'not used'
};

/** Return what is left at an instant: a running session goes on using it. */
export function leftMgpuMs(facts: Facts, sinceMs: number): number {
  const used = facts.state === 'active' ? facts.weightMgpu * Math.max(0, sinceMs) : 0;
  return Math.max(0, facts.leftMgpuMs - used);
}

/** Write an amount, rounded down so that it never promises too much: '3.25'. */
export function hoursText(mgpuMs: number): string {
  return (Math.floor((100 * mgpuMs) / HOUR_MGPU_MS) / 100).toFixed(2);
}

export function rateText(weightMgpu: number): string {
  return weightMgpu ? `${weightMgpu / 1000} GPU-hours per hour` : 'free';
}

export function clockText(atMs: number): string {
  return new Date(atMs).toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
}

/** Write an instant with its day where that is another one. */
export function momentText(atMs: number, nowMs: number): string {
  const day = new Date(atMs).toLocaleDateString('en-GB', {
    weekday: 'long',
    day: 'numeric',
    month: 'long'
  });
  const isToday = new Date(atMs).toDateString() === new Date(nowMs).toDateString();
  return isToday ? clockText(atMs) : `${day}, ${clockText(atMs)}`;
}

/** Write what the status bar shows. */
export function statusText(facts: Facts, left: number, nowMs: number): string {
  const parts = [`${hoursText(left)} GPU-hours left`];
  if (facts.weightMgpu) {
    parts.push(`${facts.weightMgpu / 1000}/h`);
  }
  if (facts.endsAtMs !== null) {
    parts.push(`until ${momentText(facts.endsAtMs, nowMs)}`);
  }
  return parts.join(' · ');
}

/** Write whole minutes, rounded up: 'one minute', '5 minutes'. */
export function minutesText(leftMs: number): string {
  const minutes = Math.max(1, Math.ceil(leftMs / MINUTE_MS));
  return minutes === 1 ? 'one minute' : `${minutes} minutes`;
}

/** Write a countdown: '4:05'. */
export function countdownText(leftMs: number): string {
  const seconds = Math.max(0, Math.ceil(leftMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export function useText(use: Use): string {
  const words = USES[use.state] ?? 'not known';
  const ratio = use.gpuRatio === null ? '' : `, ${Math.round(100 * use.gpuRatio)} % busy`;
  return words + ratio;
}

export function memoryText(mib: number): string {
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${Math.round(mib)} MiB`;
}

export function helpText(help: Help): string {
  if (help.state === 'claimed') {
    return `${help.claimedBy || 'A TA'} helps you now.`;
  }
  if (help.place === null || help.place <= 1) {
    return 'You asked for help. You are next.';
  }
  return `You asked for help. ${help.place - 1} before you.`;
}

export function visitText(visit: Visit, nowMs: number): string {
  const until = visit.untilMs === null ? '' : ` until ${momentText(visit.untilMs, nowMs)}`;
  const why = visit.reason ? `: ${visit.reason}` : '';
  return `${visit.ta} ${MODES[visit.mode] ?? 'is in'} your session${until}${why}`;
}
