import { expect, test } from 'vitest';
import { due, nothingTold, pollMs, spokenMinutes, type Told } from '../src/warnings';

const MINUTE = 60_000;
const WARN = [60, 15, 5, 1];

interface Happened {
  atMs: number;
  warned: number[];
  saves: number;
  overs: number;
}

/** Let a session come to its end second by second, with the page in front or hidden. */
function live(fromMs: number, isHidden = false, told: Told = nothingTold('l')) {
  const happened: Happened[] = [];
  let kept = told;
  for (let left = fromMs; left >= -5_000; left -= 1_000) {
    const now = due(kept, left, WARN, isHidden);
    kept = now.told;
    if (now.warnMin !== null || now.isSaveDue || now.isOver) {
      happened.push({
        atMs: left,
        warned: now.warnMin === null ? [] : [now.warnMin],
        saves: Number(now.isSaveDue),
        overs: Number(now.isOver)
      });
    }
  }
  return happened;
}

test('each announced minute is told once, at its time; then all is saved, and it is over', () => {
  expect(live(90 * MINUTE)).toEqual([
    { atMs: 60 * MINUTE, warned: [60], saves: 0, overs: 0 },
    { atMs: 15 * MINUTE, warned: [15], saves: 0, overs: 0 },
    { atMs: 5 * MINUTE, warned: [5], saves: 0, overs: 0 },
    { atMs: MINUTE, warned: [1], saves: 1, overs: 0 },
    { atMs: 0, warned: [], saves: 0, overs: 1 }
  ]);
});

test('a page that is opened late tells only the nearest', () => {
  expect(live(4 * MINUTE).map(one => one.warned)).toEqual([[5], [1], []]);
});

test('a hidden page, which wakes up rarely, saves earlier', () => {
  const saved = live(10 * MINUTE, true).filter(one => one.saves);
  expect(saved.map(one => one.atMs)).toEqual([125_000]);
});

test('an end that is put off is announced again, and saved for again', () => {
  const told = { leaseId: 'l', warnedMin: 1, isSaved: true, isOver: false };
  expect(live(20 * MINUTE, false, told).map(one => one.warned)).toEqual([
    [60],
    [15],
    [5],
    [1],
    []
  ]);
  expect(live(20 * MINUTE, false, told).filter(one => one.saves).length).toBe(1);
});

test('an end that trembles by seconds is told once', () => {
  let kept = nothingTold('l');
  const told: number[] = [];
  for (const left of [300_000, 310_000, 299_000, 305_000, 290_000]) {
    const now = due(kept, left, WARN, false);
    kept = now.told;
    told.push(...(now.warnMin === null ? [] : [now.warnMin]));
  }
  expect(told).toEqual([5]);
});

test('what is over is said once, and nothing is warned of any more', () => {
  const now = due(nothingTold('l'), -1, WARN, false);
  expect([now.isOver, now.warnMin, now.isSaveDue, now.isCounted]).toEqual([
    true,
    null,
    true,
    false
  ]);
  expect(due(now.told, -2_000, WARN, false).isOver).toBe(false);
});

test.each([
  [30, null, 30_000],
  [5, 20 * MINUTE, 30_000],
  [5, 4 * MINUTE, 5_000],
  [1, 4 * MINUTE, 5_000],
  [9_999, null, 300_000]
])('asked again after %d s, with %s ms left: %d ms', (after, left, ms) => {
  expect(pollMs(after, left)).toBe(ms);
});

test('a screen reader hears minutes, and not all of them', () => {
  const heard = [20, 15, 14, 6, 5, 4, 1].map(left => spokenMinutes(left * MINUTE, WARN));
  expect(heard).toEqual([null, 15, null, null, 5, 4, 1]);
  expect(spokenMinutes(null, WARN)).toBeNull();
});
