// @ts-check
// What went wrong, in the one form in which the page shows it: a message and a remedy.

import { t } from './strings.js';

/** An error of the API, or of the way there. */
export class Problem extends Error {
  /**
   * @param {{code: string, message: string, remedy?: string, status?: number, errors?: {field: string, message: string}[], requestId?: string, retryAfter?: number}} p
   */
  constructor(p) {
    super(p.message);
    this.code = p.code;
    this.remedy = p.remedy ?? '';
    this.status = p.status ?? 0;
    this.errors = p.errors ?? [];
    this.requestId = p.requestId ?? '';
    this.retryAfter = p.retryAfter ?? 0;
  }

  /** Whether only signing in again helps. */
  get signedOut() {
    return this.status === 401;
  }

  /** Whether the server was not reached at all. */
  get unreachable() {
    return this.status === 0;
  }
}

/**
 * The problem in an answer other than 2xx; a proxy's page counts as an unknown one.
 * @param {Response} answer
 */
export async function fromAnswer(answer) {
  const retryAfter = Number(answer.headers.get('Retry-After')) || 0;
  try {
    const p = await answer.json();
    if (typeof p.code === 'string' && typeof p.message === 'string') {
      return new Problem({ ...p, status: answer.status, requestId: p.request_id, retryAfter });
    }
  } catch {
    // Not JSON: the status has to say enough.
  }
  const message = t('problem.unknown', { status: answer.status });
  return new Problem({ code: 'unknown', message, remedy: t('problem.unknown_remedy'), status: answer.status, retryAfter });
}

/**
 * Whatever was thrown, as a problem. What is none is a defect of this page, and the
 * console keeps it whole.
 * @param {unknown} thrown
 */
export function fromThrown(thrown) {
  if (thrown instanceof Problem) return thrown;
  console.error(thrown);
  return new Problem({ code: 'page', message: t('problem.page'), remedy: t('problem.page_remedy'), status: -1 });
}

/**
 * What fetch throws: no answer, or none in time.
 * @param {unknown} thrown
 */
export function fromFetch(thrown) {
  const late = thrown instanceof Error && thrown.name === 'TimeoutError';
  if (late) return new Problem({ code: 'timeout', message: t('problem.timeout'), remedy: t('problem.timeout_remedy') });
  return new Problem({ code: 'unreachable', message: t('problem.unreachable'), remedy: t('problem.unreachable_remedy') });
}
