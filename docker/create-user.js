// On an empty volume, after roles.js: the users of lipsdb, with its roles. Neither can change or delete a document.
for (const [user, role, pwd] of [
  ["manager", "lipsdbManager", process.env.LIPSDB_MANAGER_PASSWORD],
  ["worker", "lipsdbWorker", process.env.LIPSDB_WORKER_PASSWORD],
]) {
  db.getSiblingDB("admin").createUser({ user, pwd, roles: [{ role, db: "lipsdb" }] });
}
