// POST /decide: a list of customers, answered at once.
import exec from 'k6/execution';
import { accept, askFloor, bodies, options as shared, post } from './load.js';

const CUSTOMERS = 20;

export const options = shared({ rate: 20, p95: 500 });

export function floor() {
  askFloor(exec.scenario.iterationInTest);
}

export function measured() {
  const first = exec.scenario.iterationInTest * CUSTOMERS;
  const chosen = Array.from({ length: CUSTOMERS }, (_, place) => bodies[(first + place) % bodies.length]);
  const { customerId: _, ...rest } = chosen[0];
  const customerIds = [...new Set(chosen.map((body) => body.customerId))];
  const answer = post('decide', { ...rest, customerIds });
  accept(answer, 200, 'decides for all', (document) => document.results.length === customerIds.length);
}
