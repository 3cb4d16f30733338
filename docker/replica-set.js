// Health check of the mongodb service: initiates the replica set if that has not been done; succeeds once writes are taken.
const admin = db.getSiblingDB("admin");
admin.auth(process.env.MONGO_INITDB_ROOT_USERNAME, process.env.MONGO_INITDB_ROOT_PASSWORD);
try {
  rs.status();
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  rs.initiate({ _id: "lipsdb", members: [{ _id: 0, host: "mongodb:27017" }] });
}
if (!admin.hello().isWritablePrimary) quit(1);
