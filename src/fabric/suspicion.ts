/** When is a server dead? The rules, with the evidence and the clock passed in. */

/** What clients say is judged by: the `notifications*` keys of `[failure_tracking]`. */
export interface ReportThresholds {
  readonly notifications: number;
  readonly notificationClients: number;
}

/** The classic rule: enough reports, of enough different reporters. */
export function reportsCondemn(
  { reports, reporters }: { readonly reports: number; readonly reporters: number },
  { notifications, notificationClients }: ReportThresholds,
): boolean {
  return reports >= notifications && reporters >= notificationClients;
}

/** What a witness, another server of the group, says of the primary: it hears from it, it does not, or nothing can be learnt from it. */
export type Testimony = 'hears' | 'deaf' | 'silent';

/** What is known of one server at the moment it was looked at. */
export interface Evidence {
  /** Whether it answered on a fresh connection; an error that the server itself sent is an answer. */
  readonly answered: boolean;
  readonly isPrimary: boolean;
  /** Only a primary has witnesses: who replicates from it knows whether it lives. */
  readonly witnesses: readonly Testimony[];
  /** Failed rounds in a row, this one included. */
  readonly failures: number;
  /** `detections`: so many failed rounds are enough without a witness. */
  readonly detections: number;
}

export interface Verdict {
  readonly state: 'healthy' | 'watch' | 'dead';
  /** The evidence as a sentence, for the log. */
  readonly reason: string;
}

/**
 * Unreachable for the node and for every witness that answers: dead. Unreachable for the node alone: the network, not the server.
 * Without witnesses only repetition helps.
 */
export function judge({ answered, isPrimary, witnesses, failures, detections }: Evidence): Verdict {
  if (answered) return { state: 'healthy', reason: 'it answers' };
  const hearing = witnesses.filter(word => word === 'hears').length;
  const deaf = witnesses.filter(word => word === 'deaf').length;
  if (isPrimary && hearing > 0) {
    return { state: 'watch', reason: `it does not answer this node, but ${hearing} of its replicas hear from it` };
  }
  if (isPrimary && deaf > 0) {
    return {
      state: 'dead',
      reason: `it answers neither this node nor any of the ${deaf} replicas that could be asked`,
    };
  }
  const state = failures >= detections ? 'dead' : 'watch';
  return { state, reason: `it failed to answer ${failures} times in a row, of ${detections} that are enough` };
}
