import { expect, test } from 'vitest';
import { ServerClock } from '../src/clock';

test("the time is the server's, however old the answer and whatever the browser says", () => {
  let passedMs = 1_000;
  const clock = new ServerClock(() => passedMs);
  expect(clock.nowMs()).toBeNull();
  clock.set(Date.parse('2027-02-01T10:00:00Z'), 4_000);
  passedMs += 6_000;
  expect(new Date(clock.nowMs() ?? 0).toISOString()).toBe('2027-02-01T10:00:10.000Z');
  clock.set(Date.parse('2027-02-01T09:00:00Z'), 0);
  expect(new Date(clock.nowMs() ?? 0).toISOString()).toBe('2027-02-01T09:00:00.000Z');
});
