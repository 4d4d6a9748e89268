// The parts of the untyped `xmlrpc` package that the codec feeds. No public declaration of ours mentions these types,
// so a user's compiler never needs this file.

declare module 'xmlrpc/lib/customtype.js' {
  export default class CustomType {
    constructor(raw: string);
    readonly raw: string;
    tagName: string;
  }
}

declare module 'xmlrpc/lib/serializer.js' {
  interface Serializer {
    serializeMethodCall(method: string, params: readonly unknown[]): string;
    serializeMethodResponse(value: unknown): string;
    serializeFault(fault: unknown): string;
  }
  const serializer: Serializer;
  export default serializer;
}

declare module 'xmlrpc/lib/deserializer.js' {
  export interface Parser {
    write(text: string): unknown;
    end(): unknown;
    on(event: string, listener: (data: never) => void): unknown;
    readonly _parser: { strict: boolean; ENTITIES: object };
  }
  /** What the package needs of a stream. */
  export interface Source {
    setEncoding(encoding: string): void;
    on(event: string, listener: () => void): void;
    pipe(parser: Parser): void;
  }
  export default class Deserializer {
    constructor(encoding?: string);
    parser: Parser;
    stack: unknown[];
    marks: number[];
    data: string[];
    value: boolean;
    deserializeMethodCall(
      source: Source,
      callback: (error: Error | null, method?: string, params?: unknown[]) => void,
    ): void;
    deserializeMethodResponse(source: Source, callback: (error: Error | null, value?: unknown) => void): void;
    push(value: unknown): void;
    onError(error: unknown): void;
    onOpentag(node: { name: string }): void;
    onClosetag(name: string): void;
    onText(text: string): void;
    onCDATA(text: string): void;
    endFault(text: string): void;
    endInt(text: string): void;
    endI8(text: string): void;
    endDouble(text: string): void;
    endString(text: string): void;
    endStruct(text: string): void;
    endMethodName(text: string): void;
  }
}
