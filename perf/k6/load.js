// What the three scripts share: who is asked, at which rate, and what fails the run.
//
//   BASE_URL, API_KEY     the API
//   BODIES                a file with a JSON list of bodies for /recommend; else made-up customers without a flow
//   FLOOR_URL             what is measured in turn with the API, to divide by; POST takes the same bodies
//   FLOOR_METHOD          POST, or GET
//   SHAPE                 constant, or ramp: from a tenth of RATE to RATE
//   RATE, ROUNDS, SECONDS requests per second, turns of each side and the length of one
//   P95_MS                the most that the 95th percentile may be
import http from 'k6/http';
import { check, fail } from 'k6';
import { SharedArray } from 'k6/data';

const GIVEN = __ENV;
const MADE_UP_CUSTOMERS = 500;
const PAUSE_SECONDS = 0.25;

export const BASE_URL = required('BASE_URL').replace(/\/$/, '');
const HEADERS = { 'Content-Type': 'application/json', Authorization: `Bearer ${required('API_KEY')}` };

export const bodies = new SharedArray('bodies', () => {
  if (GIVEN.BODIES) return JSON.parse(open(GIVEN.BODIES));
  return Array.from({ length: MADE_UP_CUSTOMERS }, (_, number) => ({ customerId: `k6-${number}`, limit: 5 }));
});

function required(name) {
  if (!GIVEN[name]) throw new Error(`${name} is not set`);
  return GIVEN[name];
}

function number(name, otherwise) {
  const value = Number(GIVEN[name] || otherwise);
  if (!(value > 0)) throw new Error(`${name} must be a number above 0`);
  return value;
}

// One scenario per turn: k6 begins each when those before it are over.
function turns(rate, shape) {
  const [rounds, seconds] = [number('ROUNDS', 1), number('SECONDS', 10)];
  const sides = GIVEN.FLOOR_URL ? ['floor', 'measured'] : ['measured'];
  const found = {};
  for (let place = 0; place < rounds * sides.length; place += 1) {
    const side = sides[place % sides.length];
    found[`${side}_${Math.floor(place / sides.length)}`] = {
      ...shape(rate, seconds),
      exec: side,
      startTime: `${place * (seconds + PAUSE_SECONDS)}s`,
      gracefulStop: `${PAUSE_SECONDS}s`,
      preAllocatedVUs: Math.max(10, Math.ceil(rate / 5)),
      maxVUs: Math.max(50, Math.ceil(rate)),
      tags: { side },
    };
  }
  return found;
}

const SHAPES = {
  constant: (rate, seconds) => ({ executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s` }),
  ramp: (rate, seconds) => ({
    executor: 'ramping-arrival-rate',
    startRate: Math.max(1, Math.round(rate / 10)),
    timeUnit: '1s',
    stages: [{ target: rate, duration: `${seconds}s` }],
  }),
};

// A crossed threshold ends k6 with exit code 99. Those of a single turn hold always: they make k6 tell the turn apart.
export function options({ rate, p95, setupTimeout = '60s' }) {
  const shape = SHAPES[GIVEN.SHAPE || 'constant'];
  if (!shape) throw new Error(`SHAPE must be one of ${Object.keys(SHAPES).join(', ')}`);
  const scenarios = turns(number('RATE', rate), shape);
  const thresholds = {
    'http_req_duration{side:measured}': [`p(95)<${number('P95_MS', p95)}`],
    'http_req_failed{side:measured}': ['rate<0.01'],
    'checks{side:measured}': ['rate>0.95'],
    dropped_iterations: [`count<${Math.ceil(number('RATE', rate) * number('SECONDS', 10) * number('ROUNDS', 1) * 0.05)}`],
  };
  for (const name of Object.keys(scenarios)) thresholds[`http_req_duration{scenario:${name}}`] = ['p(95)>=0'];
  return {
    scenarios,
    thresholds,
    setupTimeout,
    summaryTrendStats: ['min', 'med', 'p(95)', 'p(99)', 'max', 'count'],
    discardResponseBodies: false,
  };
}

export function some(list, iteration) {
  return list[iteration % list.length];
}

export function post(path, body, headers = {}) {
  return http.post(`${BASE_URL}/api/v1/${path}`, JSON.stringify(body), {
    headers: { ...HEADERS, ...headers },
    tags: { name: path },
    timeout: '10s',
  });
}

export function accept(answer, status, name, holds) {
  check(answer, {
    [`is ${status}`]: (got) => got.status === status,
    [name]: (got) => got.status === status && holds(got.json()),
  });
}

export function askFloor(iteration) {
  const given = { headers: { 'Content-Type': 'application/json' }, tags: { name: 'floor' }, timeout: '10s' };
  const answer =
    GIVEN.FLOOR_METHOD === 'GET'
      ? http.get(GIVEN.FLOOR_URL, given)
      : http.post(GIVEN.FLOOR_URL, JSON.stringify(some(bodies, iteration)), given);
  check(answer, { 'is 200': (got) => got.status === 200 });
}

// Decisions to respond to, made before anything is measured.
export function decide(count) {
  const decisions = [];
  for (let place = 0; place < bodies.length && decisions.length < count; place += 1) {
    const answer = post('recommend', bodies[place]);
    if (answer.status !== 200) fail(`recommend answered ${answer.status}: ${String(answer.body).slice(0, 200)}`);
    const { customerId, recommendationId, count: offers } = answer.json();
    if (offers > 0) decisions.push({ customerId, recommendationId });
  }
  if (decisions.length === 0) fail('no customer is given an offer: there is nothing to respond to');
  return decisions;
}
