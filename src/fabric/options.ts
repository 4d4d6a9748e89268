/** The node's configuration: the sections and keys of fabric.cfg in camelCase, seconds as there. */

export interface EndpointOptions {
  /** `host:port`; port 0 takes any free one. */
  readonly address: string;
  readonly user: string;
  readonly password: string;
  readonly disableAuthentication: boolean;
}

/** Complete and checked; `parseFabricOptions` makes it from what the user gave. */
export interface FabricOptions {
  readonly servers: { readonly user: string; readonly password: string; readonly unreachableTimeout: number };
  readonly protocol: { readonly xmlrpc: EndpointOptions; readonly mysql?: EndpointOptions };
  readonly failureTracking: {
    readonly detections: number;
    readonly detectionInterval: number;
    readonly detectionTimeout: number;
    readonly notifications: number;
    readonly notificationClients: number;
    readonly notificationInterval: number;
    readonly failoverInterval: number;
  };
  readonly connector: { readonly ttl: number };
}
