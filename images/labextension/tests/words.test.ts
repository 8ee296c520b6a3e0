import { expect, test } from 'vitest';
import { type Facts, readAnswer } from '../src/facts';
import {
  countdownText,
  helpText,
  hoursText,
  leftMgpuMs,
  memoryText,
  minutesText,
  rateText,
  statusText,
  useText,
  visitText
} from '../src/words';
import { owners } from './given';

const HOUR = 3_600_000_000;
const NOW = Date.parse('2027-02-01T10:00:00Z');

function facts(): Facts {
  const read = readAnswer(owners());
  if (read.kind !== 'owner') {
    throw new Error(read.kind);
  }
  return read.facts;
}

test('hours are rounded down, so that they never promise too much', () => {
  expect(hoursText(3.999 * HOUR)).toBe('3.99');
  expect(hoursText(0)).toBe('0.00');
});

test('what is left falls while the session runs, and never below nothing', () => {
  expect(leftMgpuMs(facts(), 3_600_000)).toBe(0.75 * HOUR);
  expect(leftMgpuMs(facts(), -5_000)).toBe(HOUR);
  expect(leftMgpuMs(facts(), 10 * 3_600_000)).toBe(0);
  expect(leftMgpuMs({ ...facts(), state: 'held' }, 3_600_000)).toBe(HOUR);
});

test('the status bar says what is left, what it costs and when it ends', () => {
  expect(statusText(facts(), HOUR, NOW)).toMatch(
    /^1\.00 GPU-hours left · 0\.25\/h · until \d\d:\d\d$/
  );
  const free = { ...facts(), weightMgpu: 0, endsAtMs: null };
  expect(statusText(free, HOUR, NOW)).toBe('1.00 GPU-hours left');
});

test.each([
  [1, 'one minute'],
  [60_000, 'one minute'],
  [60_001, '2 minutes'],
  [299_000, '5 minutes']
])('%d ms are %s', (ms, text) => expect(minutesText(ms)).toBe(text));

test.each([
  [245_000, '4:05'],
  [100, '0:01'],
  [-1, '0:00']
])('a countdown of %d ms reads %s', (ms, text) => expect(countdownText(ms)).toBe(text));

test('use, memory, help and visits are told in words', () => {
  const { use, help, attached } = facts();
  expect(use && useText(use)).toBe('in use, 42 % busy');
  expect(useText({ ...use, state: 'new', gpuRatio: null } as never)).toBe('not known');
  expect([memoryText(512), memoryText(1536)]).toEqual(['512 MiB', '1.5 GiB']);
  expect(help && helpText(help)).toBe('You asked for help. 1 before you.');
  expect(helpText({ ...help, place: 1 } as never)).toBe('You asked for help. You are next.');
  const claimed = { ...help, state: 'claimed', claimedBy: 'tomas' };
  expect(helpText(claimed as never)).toBe('tomas helps you now.');
  expect(attached[0] && visitText(attached[0], NOW)).toBe('tomas observes your session: asked');
  expect(rateText(0)).toBe('free');
});
