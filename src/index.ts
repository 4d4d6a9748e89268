/** `mysql2-fabric`: mirrors `mysql2`, so that an application changes one line and adds `fabric` and `group` to its options. */
import * as door from './client/door.js';

export * from './client/door.js';

/** For `import mysql from 'mysql2-fabric'`, types included. */
export default door;
