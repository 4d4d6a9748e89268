/** What the examples connect with. The defaults are those of docker-compose.yml. */
export const options = {
  fabric: {
    // one node, or several: 'fabric1:32274,fabric2:32274'
    host: process.env.FABRIC_ADDRESS ?? '127.0.0.1:32274',
    user: process.env.FABRIC_USER ?? 'admin',
    password: process.env.FABRIC_PASSWORD ?? 'adminpw',
  },
  group: process.env.FABRIC_GROUP ?? 'my_group',
  user: process.env.MYSQL_USER ?? 'app',
  password: process.env.MYSQL_PASSWORD ?? 'app',
  database: process.env.MYSQL_DATABASE ?? 'app',
};
