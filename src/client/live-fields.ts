import type { RawConnection } from './physical.js';

/** What mysql2's connection has of its server, and what it is while there is none; then as mysql2's own before it is connected. */
const WHILE_DISCONNECTED = {
  threadId: null,
  connectionId: undefined,
  authorized: false,
  state: 'disconnected',
  sequenceId: 0,
  compressedSequenceId: 0,
  serverCapabilityFlags: 0,
  serverEncoding: 'utf8',
  clientEncoding: 'utf8',
  _handshakePacket: null,
  // A connection of ours is as good as new when its server's is lost; pools of others look at these.
  _fatalError: null,
  _protocolError: null,
} as const;

/**
 * mysql2 declares fields where we must look at the connection of the moment; an accessor in the class would not be assignable to those.
 * @param liveOf mysql2's connection of the moment.
 */
export function defineLiveFields<T extends object>(prototype: T, liveOf: (self: T) => RawConnection | undefined): void {
  for (const [name, otherwise] of Object.entries(WHILE_DISCONNECTED)) {
    const get = function (this: T): unknown {
      const live = liveOf(this);
      return live === undefined ? otherwise : live[name as keyof RawConnection];
    };
    Object.defineProperty(prototype, name, { get, configurable: true });
  }
}
