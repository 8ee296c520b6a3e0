/** When to warn of a session's end, to save, and to say that it is over. Pure. */

const MINUTE_MS = 60_000;
const COUNTED_MS = 5 * MINUTE_MS;
/** A hidden page wakes up once in a minute at the least, so it saves a minute earlier. */
const SAVE_MS = MINUTE_MS;
const SAVE_HIDDEN_MS = 2 * MINUTE_MS + 5_000;
/** An end that moves by less is the same end. */
const SLACK_MS = 30_000;

/** What was told already; kept over a reload of the page. */
export interface Told {
  leaseId: string;
  warnedMin: number | null;
  isSaved: boolean;
  isOver: boolean;
}

export interface Due {
  /** The smallest announced number of minutes that is reached now, if it is new. */
  warnMin: number | null;
  /** Whether the seconds are shown. */
  isCounted: boolean;
  isSaveDue: boolean;
  isOver: boolean;
  told: Told;
}

export function nothingTold(leaseId: string): Told {
  return { leaseId, warnedMin: null, isSaved: false, isOver: false };
}

/** Decide what is to be done `leftMs` before the end. */
export function due(told: Told, leftMs: number, warnMin: number[], isHidden: boolean): Due {
  const kept = forget(told, leftMs);
  const reached = warnMin.filter(minutes => leftMs <= minutes * MINUTE_MS);
  const smallest = reached.length ? Math.min(...reached) : null;
  const isNew = smallest !== null && (kept.warnedMin === null || smallest < kept.warnedMin);
  const isOver = leftMs <= 0;
  const isSaveDue = !kept.isSaved && leftMs <= (isHidden ? SAVE_HIDDEN_MS : SAVE_MS);
  return {
    warnMin: isNew && !isOver ? smallest : null,
    isCounted: leftMs <= COUNTED_MS && !isOver,
    isSaveDue,
    isOver: isOver && !kept.isOver,
    told: {
      ...kept,
      warnedMin: isNew ? smallest : kept.warnedMin,
      isSaved: kept.isSaved || isSaveDue,
      isOver: kept.isOver || isOver
    }
  };
}

/** An end that was put off is warned of again. */
function forget(told: Told, leftMs: number): Told {
  const isPutOff = told.warnedMin !== null && leftMs > told.warnedMin * MINUTE_MS + SLACK_MS;
  return {
    ...told,
    warnedMin: isPutOff ? null : told.warnedMin,
    isSaved: told.isSaved && leftMs <= SAVE_HIDDEN_MS + SLACK_MS,
    isOver: told.isOver && leftMs <= SLACK_MS
  };
}

/** How long to wait before the next request: five seconds only when the end is near. */
export function pollMs(pollAfterS: number, leftMs: number | null): number {
  const least = leftMs !== null && leftMs <= COUNTED_MS ? 5_000 : 30_000;
  return Math.min(300_000, Math.max(least, 1000 * pollAfterS));
}

/** What a screen reader is told: the minutes, each once, and only when they are few. */
export function spokenMinutes(leftMs: number | null, warnMin: number[]): number | null {
  if (leftMs === null || leftMs <= 0) {
    return null;
  }
  const minutes = Math.ceil(leftMs / MINUTE_MS);
  return minutes <= 5 || warnMin.includes(minutes) ? minutes : null;
}
