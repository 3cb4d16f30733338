// Roles of lipsdb in the database 'lipsdb', as `lipsdb db roles` prints them. Run it as an administrator:
//   mongosh "mongodb://ADMINISTRATOR@HOST:27017/?authSource=admin" roles.js
// and again after each update of lipsdb. Then make users there, such as
//   db.getSiblingDB("admin").createUser({ user: "worker1", pwd: passwordPrompt(), roles: [{ role: "lipsdbWorker", db: "lipsdb" }] });
{
  const target = db.getSiblingDB("lipsdb");
  const roles = {
    "lipsdbReader": [
      {"resource": {"db": "lipsdb", "collection": ""}, "actions": ["collStats", "dbStats", "find", "listCollections", "listIndexes"]},
    ],
    "lipsdbWorker": [
      {"resource": {"db": "lipsdb", "collection": ""}, "actions": ["collStats", "dbStats", "find", "listCollections", "listIndexes"]},
      {"resource": {"db": "lipsdb", "collection": "levels_of_theory"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "structures"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "labels"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "refusals"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "datasets"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "potentials"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "runs"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "classifiers"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "properties"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "campaigns"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "withdrawals"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "audits"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "artifacts"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "artifacts.files"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "artifacts.chunks"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "joins"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "withheld"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "fireworks"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "launches"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "workflows"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "fw_id_assigner"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "offline_runs"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "fw_gridfs.files"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "fw_gridfs.chunks"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "job_outputs"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "progress"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "externals"}, "actions": ["insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "label_origins"}, "actions": ["insert", "remove", "update"]},
    ],
    "lipsdbManager": [
      {"resource": {"db": "lipsdb", "collection": ""}, "actions": ["collStats", "dbStats", "find", "listCollections", "listIndexes"]},
      {"resource": {"db": "lipsdb", "collection": "levels_of_theory"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "structures"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "labels"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "refusals"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "datasets"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "potentials"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "runs"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "classifiers"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "properties"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "campaigns"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "withdrawals"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "audits"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "artifacts"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "artifacts.files"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "artifacts.chunks"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "joins"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "withheld"}, "actions": ["insert"]},
      {"resource": {"db": "lipsdb", "collection": "fireworks"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "launches"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "workflows"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "fw_id_assigner"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "offline_runs"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "fw_gridfs.files"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "fw_gridfs.chunks"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "job_outputs"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "progress"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "externals"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
      {"resource": {"db": "lipsdb", "collection": "label_origins"}, "actions": ["collMod", "createCollection", "createIndex", "dropCollection", "dropIndex", "insert", "remove", "update"]},
    ],
  };
  for (const [role, privileges] of Object.entries(roles)) {
    if (target.getRole(role) === null) target.createRole({ role, privileges, roles: [] });
    else target.updateRole(role, { privileges, roles: [] });
  }
}
