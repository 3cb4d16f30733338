// Creates the user under which lipsdb works: reads and writes its one database, makes collections and validators there.
db.getSiblingDB("admin").createUser({
  user: "lipsdb",
  pwd: process.env.LIPSDB_MONGO_PASSWORD,
  roles: [
    { role: "readWrite", db: "lipsdb" },
    { role: "dbAdmin", db: "lipsdb" },
  ],
});
