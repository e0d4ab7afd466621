// Package backup copies a hub's whole database into one file and back into an empty
// one.
//
// A backup is a zip archive: the rows of each table as COPY writes them, read in
// one snapshot while hubs go on working; the states of sequences; manifest.json, which
// says what there is with the SHA-256 of each; and seal, which is the hash of the
// manifest, sealed with the vault key. So a backup that was cut short, was changed by
// somebody without the vault key, or belongs to another key, is not restored. What
// the database has sealed stays sealed in it: a backup without the vault key is
// useless, and the key is not in it. The rest is in the open.
//
// Read checks and restores in one transaction, into a database that no hub has
// used. What is of the moment is left out (see Left), and bulk commands that had not
// ended are not continued. The incarnation is the caller's to raise: hub/app does.
//
// The package knows tables by the database's catalog, not by name, so a new table is
// in the next backup by itself.
package backup
