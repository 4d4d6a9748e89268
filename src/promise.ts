/** `mysql2-fabric/promise`: mirrors `mysql2/promise`. */
import * as door from './client/promise-door.js';

export * from './client/promise-door.js';

/** For `import mysql from 'mysql2-fabric/promise'`, types included. */
export default door;
