/** The MySQL protocol's packets: taken from a stream of bytes, and the two that the driver's server half does not write. Pure. */

export interface Packet {
  readonly sequence: number;
  readonly payload: Buffer;
  /** Header and payload. */
  readonly bytes: Buffer;
}

const HEADER = 4;

/** Cuts what arrives into packets. Nothing is kept for a packet that is longer than allowed. */
export class PacketReader {
  /** Longest payload to accept. */
  limit: number;
  readonly #header = Buffer.alloc(HEADER);
  #arrived: Buffer[] = [];
  #packet: Buffer | null = null;
  #filled = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  add(chunk: Buffer): void {
    this.#arrived.push(chunk);
  }

  /** The next packet that is complete, if there is one. */
  next(): Packet | 'too large' | null {
    if (!this.#packet) {
      if (!this.#fill(this.#header)) return null;
      const length = this.#header.readUIntLE(0, 3);
      if (length > this.limit) return 'too large';
      this.#packet = Buffer.allocUnsafe(HEADER + length);
      this.#filled = this.#header.copy(this.#packet);
    }
    const bytes = this.#packet;
    if (!this.#fill(bytes)) return null;
    this.#packet = null;
    this.#filled = 0;
    return { sequence: bytes[3] ?? 0, payload: bytes.subarray(HEADER), bytes };
  }

  /** What has arrived behind the last packet; it is the caller's now. */
  rest(): Buffer {
    return Buffer.concat(this.#arrived.splice(0));
  }

  /** Whether the target is full; it is filled with what has arrived. */
  #fill(target: Buffer): boolean {
    while (this.#filled < target.length) {
      const chunk = this.#arrived.shift();
      if (!chunk) return false;
      const taken = chunk.copy(target, this.#filled);
      this.#filled += taken;
      if (taken < chunk.length) this.#arrived.unshift(chunk.subarray(taken));
    }
    return true;
  }
}

/** An error as a client of the MySQL protocol gets it. */
export interface Refusal {
  readonly errno: number;
  readonly state: string;
  readonly message: string;
}

/** What the driver writes as a packet, with the number that it counts. */
export class RawPacket {
  readonly buffer: Buffer;

  constructor(payload: Buffer) {
    this.buffer = Buffer.concat([Buffer.alloc(HEADER), payload]);
  }

  length(): number {
    return this.buffer.length;
  }

  writeHeader(sequence: number): void {
    this.buffer.writeUIntLE(this.buffer.length - HEADER, 0, 3);
    this.buffer[3] = sequence;
  }
}

/** The protocol before 4.1 has no SQLSTATE. */
export function errorPacket({ errno, state, message }: Refusal, protocol41 = true): RawPacket {
  const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
  return new RawPacket(Buffer.concat([head, Buffer.from(`${protocol41 ? `#${state}` : ''}${message}`)]));
}

/** Asks a client that began with another way to authenticate for this one. */
export function authSwitchPacket(plugin: string, seed: Buffer): RawPacket {
  return new RawPacket(Buffer.concat([Buffer.from([0xfe]), Buffer.from(`${plugin}\0`), seed, Buffer.alloc(1)]));
}
