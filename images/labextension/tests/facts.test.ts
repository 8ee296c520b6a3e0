import { expect, test } from 'vitest';
import { readAnswer } from '../src/facts';
import { owners } from './given';

test('an answer of the lab is read whole', () => {
  const read = readAnswer(owners());
  expect(read.kind).toBe('owner');
  if (read.kind !== 'owner') {
    return;
  }
  expect(read.serverTimeMs).toBe(Date.parse('2027-02-01T10:00:00Z'));
  expect(read.ageMs).toBe(1500);
  expect(read.facts.leftMgpuMs).toBe(3_600_000_000);
  expect(read.facts.endsAtMs).toBe(Date.parse('2027-02-01T12:30:00Z'));
  expect(read.facts.help?.place).toBe(2);
  expect(read.facts.attached[0]?.ta).toBe('tomas');
});

test.each([
  undefined,
  null,
  5,
  'garbage',
  [],
  {},
  { answered: false },
  { answered: true, viewer: 'owner' },
  { ...owners(), server_time: 'yesterday' },
  { ...owners(), balance: null },
  { ...owners(), balance: { granted_mgpu_ms: 'much', charged_mgpu_ms: 0 } }
])('what cannot be understood is no answer: %j', given => {
  expect(readAnswer(given).kind).toBe('away');
});

test('parts that make no sense are left out', () => {
  const read = readAnswer({
    ...owners(),
    session: 7,
    use: 'yes',
    attached: { length: 9 },
    warn_min: ['x', -1],
    links: { hours: 'javascript:alert(1)', start: '/hub/spawn/ada' },
    flavor: { title: 'x'.repeat(9_999) }
  });
  if (read.kind !== 'owner') {
    throw new Error(read.kind);
  }
  expect(read.facts.endsAtMs).toBeNull();
  expect(read.facts.attached).toEqual([]);
  expect(read.facts.warnMin).toEqual([60, 15, 5, 1]);
  expect(read.facts.hoursUrl).toBe('');
  expect(read.facts.startUrl).toBe('/hub/spawn/ada');
  expect(read.facts.title.length).toBe(500);
});

test('a visitor learns how they visit, also while the lab is away', () => {
  const read = readAnswer({ answered: false, viewer: 'observe', scholar: 'ada', attached: [] });
  expect(read).toEqual({ kind: 'visitor', mode: 'observe', scholar: 'ada', attached: [] });
});
