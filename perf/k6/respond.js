// POST /respond: what a customer did with an offer, counted once.
import exec from 'k6/execution';
import { accept, askFloor, decide, options as shared, post, some } from './load.js';

const DECISIONS = 100;

export const options = shared({ rate: 50, p95: 250 });

export function setup() {
  return { decisions: decide(DECISIONS), run: `${Date.now()}` };
}

export function floor() {
  askFloor(exec.scenario.iterationInTest);
}

export function measured({ decisions, run }) {
  const { scenario } = exec;
  const decision = some(decisions, scenario.iterationInTest);
  const key = { 'Idempotency-Key': `k6-${run}-${scenario.name}-${scenario.iterationInTest}` };
  const answer = post('respond', { ...decision, rank: 1, outcome: 'click' }, key);
  // 200 would be a repetition, which counts nothing.
  accept(answer, 201, 'is recorded', (document) => document.status === 'recorded');
}
