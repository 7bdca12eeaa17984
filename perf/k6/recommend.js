// POST /recommend: one customer, one decision, durable when it is answered.
import exec from 'k6/execution';
import { accept, askFloor, bodies, options as shared, post, some } from './load.js';

export const options = shared({ rate: 50, p95: 250 });

export function floor() {
  askFloor(exec.scenario.iterationInTest);
}

export function measured() {
  const answer = post('recommend', some(bodies, exec.scenario.iterationInTest));
  accept(answer, 200, 'has offers', (document) => document.count > 0);
}
